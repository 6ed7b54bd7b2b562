/** `npm run bench:api`: `GET /deckies/lifecycle` with 200 ids, as a wizard polls it: our API on servers of the bench's own, then DECNET's. */
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import Table from 'cli-table3';
import { ROOT } from '../../stack/root.ts';
import { decnetEnvironment } from '../../test/support/decnet/venv.ts';
import { stampOf } from '../options.ts';
import { machineOf, writeReport } from '../report.ts';
import { killAll } from '../swarm/program.ts';
import { type BenchServers, startBenchServers } from '../swarm/servers.ts';
import { type Contestant, IDS, type Line, measure, ROWS } from './contestant.ts';
import { startDeckhand } from './deckhand.ts';
import { startDecnetApi } from './decnet.ts';

/** Polls of 200 ids that DECNET 1.0.0 answers in a second on two cores: where it can't be measured here. */
const STATED_PER_SECOND = 125;
const FACTOR = 5;

const USAGE = `npm run bench:api -- [options]

Polls of ${IDS} lifecycle rows as fast as they are answered: by Deckhand's API, then by DECNET 1.0.0's on the same machine, where it
can be had. Runs servers of its own and removes them.

  --seconds N    how long each is polled (10)
  --clients N    connections that poll at one time (16)
  --out FILE     where the figures go as JSON (bench/results/api-<time>.json)
  --profile DIR  write a CPU profile of our API into DIR
  --help         this text`;

const say = (text: string): void => {
  process.stdout.write(`${text}\n`);
};

async function play(bench: BenchServers, clients: number, seconds: number, profile: string | null): Promise<Line[]> {
  const found = await decnetEnvironment();
  const turn = async (starting: Promise<Contestant>): Promise<Line[]> => {
    const contestant = await starting;
    say(`${contestant.name}: ${clients} clients, ${seconds} s for each kind of rows`);
    try {
      return await measure(contestant, clients, seconds);
    } finally {
      await contestant.stop();
    }
  };
  const ours = await turn(startDeckhand(bench, profile));
  if ('python' in found) return [...ours, ...(await turn(startDecnetApi(bench, found.python)))];
  say(`${found.missing} It counts as ${STATED_PER_SECOND} a second, as stated.`);
  return ours;
}

const rateOf = ({ answered, seconds }: Line): number => answered / seconds;

function tableOf(lines: readonly Line[]): string {
  const head = [`${IDS} ids`, '', 'per second', 'median, ms', 'p99, ms', 'CPU of a poll, ms', 'of its database, ms'];
  const table = new Table({ head, style: { head: [], border: [] } });
  for (const line of lines)
    table.push([
      line.rows,
      line.name,
      rateOf(line).toFixed(0),
      line.median.toFixed(1),
      line.p99.toFixed(1),
      line.processMs.toFixed(2),
      line.databaseMs?.toFixed(2) ?? '',
    ]);
  return table.toString();
}

/** One sentence for each kind of rows. */
function verdictsOf(lines: readonly Line[]): string[] {
  const of = (name: Contestant['name'], rows: Line['rows']) =>
    lines.find((line) => line.name === name && line.rows === rows);
  return ROWS.flatMap((rows) => {
    const ours = of('Deckhand', rows);
    if (!ours) return [];
    const theirs = of('DECNET', rows);
    const ratio = rateOf(ours) / (theirs ? rateOf(theirs) : STATED_PER_SECOND);
    const verdict = ratio >= FACTOR ? 'held' : 'MISSED';
    return `${rows}: Deckhand ÷ DECNET${theirs ? '' : ' (as stated)'} ${ratio.toFixed(1)}, at least ${FACTOR}: ${verdict}`;
  });
}

/** Returns the exit code: 0, also where the target is missed; 1 when something broke. */
export async function main(args: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      seconds: { type: 'string', default: '10' },
      clients: { type: 'string', default: '16' },
      out: { type: 'string' },
      profile: { type: 'string' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) {
    say(USAGE);
    return 0;
  }
  const bench = await startBenchServers(say);
  try {
    const lines = await play(bench, Number(values.clients), Number(values.seconds), values.profile ?? null);
    const verdicts = verdictsOf(lines);
    for (const text of [tableOf(lines), ...verdicts]) say(text);
    const out = values.out ?? join(ROOT, 'bench', 'results', `api-${stampOf(new Date())}.json`);
    const { clients, seconds } = values;
    const date = new Date().toISOString();
    const asked = { clients: Number(clients), seconds: Number(seconds) };
    writeReport(out, { date, machine: machineOf(), ...asked, verdicts, lines });
    say(`All samples: ${out}`);
    return 0;
  } catch (error) {
    console.error('The bench broke:', error);
    return 1;
  } finally {
    killAll();
    await bench.stop();
  }
}
