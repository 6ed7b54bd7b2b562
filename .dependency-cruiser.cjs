/** Which room may import which (docs/architecture.md). */
const OURS = '^(lib|fleet|engine|operations|workflows|activities|adapters|worker|api|agent|cli|stack|decoys)/';
const rule = (name, comment, from, to) => ({ name, comment, severity: 'error', from, to });
module.exports = {
  forbidden: [
    rule('no-cycles', 'Data flows one way.', {}, { circular: true }),
    rule(
      'lib-has-no-domain',
      'lib/ imports nothing of ours but itself.',
      { path: '^lib/' },
      { path: OURS, pathNot: '^lib/' },
    ),
    rule(
      'fleet-is-pure',
      'fleet/ imports nothing of ours but itself.',
      { path: '^fleet/' },
      { path: OURS, pathNot: '^fleet/' },
    ),
    rule(
      'fleet-has-no-io',
      'fleet/ makes no input or output; workflows import it, so Node is out of reach too.',
      { path: '^fleet/', pathNot: '^fleet/scripts/' },
      { dependencyTypes: ['core'] },
    ),
    rule(
      'workflows-are-deterministic',
      'workflows/ import fleet/ and Temporal only.',
      { path: '^workflows/' },
      { path: OURS, pathNot: '^(fleet|workflows)/', dependencyTypesNot: ['type-only'] },
    ),
    rule(
      'workflows-know-types-of-activities-and-operations',
      'Other rooms are nothing to workflows, types included.',
      { path: '^workflows/' },
      { path: OURS, pathNot: '^(fleet|workflows|activities|operations)/' },
    ),
    rule('workflows-no-node', 'No Node in workflow code.', { path: '^workflows/' }, { dependencyTypes: ['core'] }),
    rule(
      'workflows-no-packages',
      'Only @temporalio/workflow and common in workflow code.',
      { path: '^workflows/' },
      { path: 'node_modules/', pathNot: 'node_modules/@temporalio/(workflow|common|activity)' },
    ),
    rule(
      'activities-get-adapters-by-injection',
      'activities/ import types of adapters, engine and operations only, and the rollout, which receives its engine too.',
      { path: '^activities/' },
      {
        path: '^(adapters|engine|operations)/',
        pathNot: '^engine/rollout\\.ts$',
        dependencyTypesNot: ['type-only'],
      },
    ),
    rule(
      'activities-know-no-callers',
      'Activities know no workflow and no program: both know them.',
      { path: '^activities/' },
      { path: '^(workflows|worker|api|agent|cli|stack|decoys)/' },
    ),
    rule(
      'adapters-know-no-callers',
      'Adapters are outside systems: they know fleet/ and lib/.',
      { path: '^adapters/' },
      { path: '^(engine|operations|workflows|activities|worker|api|agent|cli|stack|decoys)/' },
    ),
    rule(
      'engine-stands-alone',
      'engine/ knows containers, no database, no Temporal, and no caller.',
      { path: '^engine/' },
      { path: '^(adapters|operations|workflows|activities|worker|api|agent|cli|stack)/' },
    ),
    rule(
      'operations-know-no-callers',
      'operations/ know fleet, lib and adapters.',
      { path: '^operations/' },
      { path: '^(engine|workflows|activities|worker|api|agent|cli|stack|decoys)/' },
    ),
    rule(
      'api-uses-messages-only',
      'The API never imports a workflow body.',
      { path: '^api/' },
      { path: '^workflows/', pathNot: '^workflows/messages' },
    ),
    rule(
      'api-asks-operations-and-adapters',
      'api/ has no engine of its own; its start alone asks which networks the engine sees.',
      { path: '^api/', pathNot: '^api/main\\.ts$' },
      { path: '^(engine|activities|stack|decoys)/' },
    ),
    rule(
      'api-start-knows-the-engine-only',
      'api/main.ts may import engine/, and no more than the rest of api/ otherwise.',
      { path: '^api/main\\.ts$' },
      { path: '^(activities|stack|decoys)/' },
    ),
    rule(
      'agent-has-no-master',
      'agent/ has no database, no Temporal, and nothing of the master but fleet/.',
      { path: '^agent/' },
      { path: '^(operations|workflows|activities|stack|decoys|adapters/(postgres|temporal|nats))/' },
    ),
    rule(
      'cli-speaks-http',
      'cli/ asks the API; for purge it has the engine and where the stack keeps its things.',
      { path: '^cli/' },
      { path: '^(operations|workflows|activities|adapters|decoys)/' },
    ),
    rule(
      'stack-starts-programs',
      'stack/ starts the programs as processes, and imports none of what they do.',
      { path: '^stack/' },
      { path: '^(engine|operations|workflows|activities|worker|api|agent|cli|decoys)/' },
    ),
    rule(
      'worker-loads-workflows-as-a-bundle',
      'worker/ wires adapters to activities; workflows come to it as a bundle.',
      { path: '^worker/' },
      { path: '^(workflows|stack|decoys)/' },
    ),
    rule(
      'decoys-stand-alone',
      'decoys/ know fleet/ only, and their program nothing of ours.',
      { path: '^decoys/' },
      { path: OURS, pathNot: '^(fleet|decoys)/' },
    ),
    rule(
      'decoy-program-stands-alone',
      'The program of the decoys is copied into images, without the rest of the tree.',
      { path: '^decoys/program/' },
      { path: OURS, pathNot: '^decoys/program/' },
    ),
    rule(
      'programs-are-roots',
      'Nothing imports a program.',
      { path: OURS, pathNot: '^(worker|api|agent|cli|stack)/' },
      { path: '^(worker|api|agent|cli)/' },
    ),
    rule(
      'programs-do-not-import-each-other',
      'Programs meet over the wire.',
      { path: '^(worker|api|agent|cli)/' },
      { path: '^(worker|api|agent|cli)/', pathNot: '^$1/' },
    ),
  ],
  options: {
    tsConfig: { fileName: 'tsconfig.json' },
    tsPreCompilationDeps: true,
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '(^|/)node_modules/(?!@temporalio)' },
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'require', 'node', 'default'] },
  },
};
