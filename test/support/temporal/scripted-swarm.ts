/** A world of its own for each test, with scripted agents; they are there and gone by the hooks of the `describe` that asks. */
import { type ScriptedAgent, scriptedAgent } from '../agents/scripted-agent.ts';
import { createWorld, type World } from './workflow-fixture.ts';

export interface ScriptedSwarm {
  readonly world: World;
  /** Enrols one, which is closed after the test. */
  agent(name: string, options?: { fenced?: boolean }): Promise<ScriptedAgent>;
}

export function scriptedSwarm(): ScriptedSwarm {
  let world: World;
  let agents: ScriptedAgent[] = [];
  beforeEach(async () => {
    world = await createWorld();
  });
  afterEach(async () => {
    await Promise.all(agents.map((agent) => agent.close()));
    agents = [];
    await world.close();
  });
  return {
    get world() {
      return world;
    },
    async agent(name, options) {
      const made = await scriptedAgent(world, name, options);
      agents.push(made);
      return made;
    },
  };
}
