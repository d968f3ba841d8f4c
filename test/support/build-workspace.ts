import { buildWorkspace } from "../../apps/cli/bin/prepare-checkout.js";

/** System tests start the compiled gateway and worker: compile what changed, also when vitest is called directly. */
export default async function setup(): Promise<void> {
  await buildWorkspace();
}
