/**
 * Which history a workflow makes, said with its start and kept in its input. `patched()` would say it too, but costs a marker and
 * a write of the visibility store in every run; where many runs are short, that is a good part of their work.
 *
 * 1: what is recorded is sent by the worker's pump, not by an activity after each batch, and what came up in one activation is
 *    one batch without a marker that says so.
 * 2: shards are started some at a time.
 */
export const REVISION = 2;

/** `revision` is absent in what was started before there were any. */
export const isSince = (revision: number, { revision: own = 0 }: { readonly revision?: number }): boolean =>
  own >= revision;

/** For what a workflow starts or does as its own part. */
export const revisionOf = ({ revision }: { readonly revision?: number }): { readonly revision?: number } =>
  revision === undefined ? {} : { revision };
