import { join } from "node:path";
import { knownLocalPostgres } from "../stack/local-postgres.ts";
import { StartupError } from "../stack/startup-error.ts";
import { npmStart, type Choice } from "./commands.ts";
import { isAlive, readDevNotes, type DevNotes } from "./dev-lock.ts";
import { stateFolder } from "./project.ts";
import { givenAddress } from "./settings.ts";

/** What a start leaves in its folder for those who look for it. */
export function notesFile(folder: string): string {
  return join(folder, "dev.json");
}

/** The start of these options, when it runs. */
export function runningStart(choice: Choice): DevNotes | undefined {
  const notes = readDevNotes(notesFile(stateFolder(choice)));
  return notes && isAlive(notes.launcher) ? notes : undefined;
}

/**
 * The database of the start of these options: the one that the environment names, as it is for `npm start`, else the
 * one that it has started. It never falls back to the database of another start.
 *
 * @param command what needs it, to be said again in what mends it
 * @throws StartupError
 */
export function databaseOf(choice: Choice, command: string): string {
  const given = givenAddress("postgres", process.env);
  if (given !== undefined) return given.address;
  const folder = stateFolder(choice);
  const start = runningStart(choice);
  if (start?.givenDatabase !== undefined) {
    const why = `Flotilla runs here with a database whose password is not known: ${start.givenDatabase}`;
    throw new StartupError("database", why, {
      remedy: `DATABASE_URL=postgres://user:password@host/database ${command}`,
    });
  }
  const own = start && knownLocalPostgres(folder);
  if (own !== undefined) return own;
  throw new StartupError("database", `no Flotilla runs with its data in ${folder}`, {
    remedy: `${npmStart(choice)}   (in another terminal)\nor DATABASE_URL=postgres://user:password@host/database ${command}`,
  });
}
