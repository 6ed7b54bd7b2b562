/** Import directions of the house (docs/architecture.md): api → workflows → activities → adapters; fleet ← everything. */
const OURS = '^(fleet|workflows|activities|adapters|worker|api|agent|cli|console|stack|decoys)/';
const rule = (name, comment, from, to) => ({ name, comment, severity: 'error', from, to });
module.exports = {
  forbidden: [
    rule('no-cycles', 'Data flows one way.', {}, { circular: true }),
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
    rule('workflows-no-node', 'No Node in workflow code.', { path: '^workflows/' }, { dependencyTypes: ['core'] }),
    rule(
      'workflows-no-packages',
      'Only @temporalio/workflow and common in workflow code.',
      { path: '^workflows/' },
      { path: 'node_modules/', pathNot: 'node_modules/@temporalio/(workflow|common|activity)' },
    ),
    rule(
      'activities-get-adapters-by-injection',
      'activities/ import adapter types only.',
      { path: '^activities/' },
      { path: '^adapters/', dependencyTypesNot: ['type-only'] },
    ),
    rule(
      'activities-know-no-callers',
      'Activities know workflow types only.',
      { path: '^activities/' },
      { path: '^(worker|api|agent|cli|console|stack)/' },
    ),
    rule(
      'adapters-know-no-callers',
      'Adapters are leaves.',
      { path: '^adapters/' },
      { path: '^(workflows|activities|worker|api|agent|cli|console|stack)/' },
    ),
    rule(
      'api-uses-messages-only',
      'The API never imports a workflow body.',
      { path: '^api/' },
      { path: '^workflows/', pathNot: '^workflows/messages' },
    ),
    rule(
      'programs-are-roots',
      'Nothing imports a program.',
      { path: OURS, pathNot: '^(worker|api|agent|cli|console|stack)/' },
      { path: '^(worker|api|agent|cli|console)/' },
    ),
    rule(
      'programs-do-not-import-each-other',
      'Programs meet over the wire.',
      { path: '^(worker|api|agent|cli|console)/' },
      { path: '^(worker|api|agent|cli|console)/', pathNot: '^$1/' },
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
