#!/bin/sh
# Ends a server when the process that started it is gone without having stopped it. See src/stack/orphan-watch.ts.
# Arguments: pid, pid file, signal, seconds to wait. Standard input: a pipe from the process that started the server.
pid=$1 pid_file=$2 signal=$3 pause=$4

# The number may belong to somebody else by now; the pid file tells.
still_runs() {
  [ "$(head -n 1 "$pid_file" 2>/dev/null)" = "$pid" ] && kill -0 "$pid" 2>/dev/null
}

# A line means that the server was stopped in order; the end of the pipe, that its starter died.
read -r _ && exit 0

while [ "$pause" -gt 0 ] && still_runs; do
  sleep 1
  pause=$((pause - 1))
done
still_runs && kill -s "$signal" "$pid"
