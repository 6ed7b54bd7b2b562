/** The engine's streams of progress (pull, build): one JSON object a line. */
import { StringDecoder } from 'node:string_decoder';

export interface ProgressLine {
  readonly stream?: string;
  readonly status?: string;
  readonly id?: string;
  readonly error?: string;
  readonly errorDetail?: { readonly code?: number; readonly message?: string };
  readonly progressDetail?: { readonly current?: number; readonly total?: number };
}

function parse(line: string): ProgressLine[] {
  if (line.trim() === '') return [];
  try {
    return [JSON.parse(line) as ProgressLine];
  } catch {
    return [{ stream: line }];
  }
}

/** Throws what the stream throws, also when it ends before its time. */
export async function* progressLines(stream: NodeJS.ReadableStream): AsyncGenerator<ProgressLine> {
  const decoder = new StringDecoder('utf8');
  let rest = '';
  for await (const chunk of stream) {
    const lines = (rest + (typeof chunk === 'string' ? chunk : decoder.write(chunk))).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) yield* parse(line);
  }
  yield* parse(rest + decoder.end());
}

/** What the line says went wrong, or null. */
export const lineError = (line: ProgressLine): string | null => line.errorDetail?.message ?? line.error ?? null;
