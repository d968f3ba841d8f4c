export const PART_FAILED = 1;
export const USAGE_ERROR = 2;
export const ALREADY_RUNNING = 3;
export const PORT_IN_USE = 4;

/** For --help. */
export const EXIT_CODES = `
Exit codes:
  0  stopped by Ctrl-C, SIGTERM or SIGHUP, everything ended in order
  ${PART_FAILED}  a part could not start, or had to be killed at the end
  ${USAGE_ERROR}  wrong options, or a langgraph.json that cannot be used
  ${ALREADY_RUNNING}  already running in this folder
  ${PORT_IN_USE}  the port is in use`;
