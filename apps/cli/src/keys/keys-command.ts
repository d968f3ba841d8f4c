import { Command } from "commander";

/** `flotilla keys`: API keys for a gateway that is not for one person alone. */
export function keysCommand(): Command {
  return new Command("keys").description("make, list and revoke API keys");
}
