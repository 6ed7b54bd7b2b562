/** One scene on a real engine for all tests of the `describe` that asks, there and gone by its hooks. */
import { type Scene, scene, type TestDocker, testDocker } from './docker.ts';

export function dockerScene(): { readonly docker: TestDocker; readonly stage: Scene } {
  let docker: TestDocker;
  let stage: Scene;
  before(async () => {
    docker = await testDocker();
    stage = await scene(docker);
  });
  after(async () => {
    await stage?.clean();
    await docker?.stop();
  });
  return {
    get docker() {
      return docker;
    },
    get stage() {
      return stage;
    },
  };
}
