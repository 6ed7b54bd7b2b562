/** What a PromQL query asks for, by the grammar of Prometheus itself. */
import { parser } from '@prometheus-io/lezer-promql';

export interface Query {
  /** Null where the query is whole; else what is around the slip. */
  readonly slip: string | null;
  readonly selectors: readonly Selector[];
}

export interface Selector {
  readonly metric: string;
  /** Labels that it is narrowed by. */
  readonly labels: readonly string[];
}

export function readQuery(text: string): Query {
  let slip: string | null = null;
  const selectors: { metric: string; labels: string[] }[] = [];
  parser.parse(text).iterate({
    enter(node) {
      if (node.type.isError) slip ??= text.slice(Math.max(0, node.from - 10), node.to + 10);
      const said = text.slice(node.from, node.to);
      if (node.name === 'VectorSelector') selectors.push({ metric: said.split(/[{\s]/)[0] ?? '', labels: [] });
      if (node.name === 'LabelName' && node.node.parent?.name.endsWith('LabelMatcher'))
        selectors.at(-1)?.labels.push(said);
    },
  });
  return { slip, selectors };
}
