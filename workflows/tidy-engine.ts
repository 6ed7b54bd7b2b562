/** After removals and failures: the compose file says what should run now, and a network that nobody needs goes. */
import { CancellationScope } from '@temporalio/workflow';
import { onEngine } from './activities.ts';
import { CLEAN_UP } from './profiles.ts';

/** Best effort: the next operation writes the file anew, so that a failure here is no decky's. */
export async function tidyEngine(): Promise<void> {
  await CancellationScope.nonCancellable(() => onEngine(CLEAN_UP, 'write the compose file').tidyEngine()).catch(
    () => undefined,
  );
}
