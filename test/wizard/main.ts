/** The program behind test/wizard.mjs. */
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { Browser, BrowserContext } from 'playwright-core';
import { unmountBelow } from '../../stack/docker.ts';
import { StackProcess } from '../support/stack/stack-process.ts';
import { type Counts, totalsLine } from '../support/stack/stack-totals.ts';
import { CHECKS, type Check, HOST_CHECKS, type Scene } from './checks.ts';
import { servePage } from './page-server.ts';
import { buildPage, openBrowser } from './prepare.ts';
import { watchFor } from './red-messages.ts';

const CHECK_LIMIT_MS = 240_000;
const WAIT_MS = 30_000;

/** Rejects when the check takes longer than it may. */
async function limited(work: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not done within ${CHECK_LIMIT_MS / 1000} s`)), CHECK_LIMIT_MS);
  });
  await Promise.race([work, late]).finally(() => clearTimeout(timer));
}

/** Counts go on from one stack to the next. */
class Run {
  passed = 0;
  failed = 0;
  readonly #pictures: string;
  constructor(pictures: string) {
    this.#pictures = pictures;
  }

  async play(checks: readonly Check[], scene: Scene): Promise<void> {
    const red = watchFor(scene.page);
    for (const [title, check] of checks) {
      try {
        await limited(check(scene));
        const messages = await red.take();
        if (messages.length > 0) throw new Error(`it shows an error:\n${messages.join('\n')}`);
        this.passed += 1;
        console.log(`✔ ${title}`);
        if (process.env.DECKHAND_TEST_PICTURES) await this.#photograph(scene, title);
      } catch (error) {
        this.failed += 1;
        const messages = await red.take().catch(() => []);
        console.log(`✗ ${title}\n${[(error as Error).message, ...messages].join('\n').replace(/^/gm, '    ')}`);
        console.log(`    picture: ${await this.#photograph(scene, title)}`);
      }
    }
  }

  async #photograph({ page }: Scene, title: string): Promise<string> {
    const path = join(this.#pictures, `${title.replace(/\W+/g, '-')}.png`);
    await page.screenshot({ path, fullPage: true }).catch(() => undefined);
    return path;
  }
}

/** Starts a stack, plays the checks on it, and stops it. */
async function playOn(run: Run, browser: Browser, at: { home: string; page: string }, stage: Stage): Promise<void> {
  console.log(stage.told);
  const stack = new StackProcess({ home: at.home, args: ['--fleet', 'none', '--yes', ...stage.args] });
  const interrupted = (): void => stack.signal('SIGINT');
  process.once('SIGINT', interrupted);
  try {
    await stack.up();
    const { api_url, admin } = stack.stackFile();
    const served = await servePage(at.page, api_url);
    const context = await browser.newContext({ viewport: { width: 1500, height: 1000 } });
    context.setDefaultTimeout(WAIT_MS);
    await fetchPagesHere(context, served.url);
    const scene = { page: await context.newPage(), url: served.url, admin, prefix: `w${process.pid}` };
    await run.play(stage.checks, scene).finally(() => served.close());
    await context.close();
  } finally {
    stack.signal('SIGINT');
    await stack.ended();
    process.off('SIGINT', interrupted);
  }
}

/**
 * Chromium breaks off what it is loading when an interface of the machine comes or goes (ERR_NETWORK_CHANGED), and each deploy makes
 * some. So the files of the page are fetched by this process.
 */
async function fetchPagesHere(context: BrowserContext, url: string): Promise<void> {
  await context.route(
    (asked) => asked.origin === url && !asked.pathname.startsWith('/api/'),
    async (route) => {
      const answer = await fetch(route.request().url());
      const body = Buffer.from(await answer.arrayBuffer());
      await route.fulfill({ status: answer.status, contentType: answer.headers.get('content-type') ?? '', body });
    },
  );
}

interface Stage {
  readonly told: string;
  readonly args: readonly string[];
  readonly checks: readonly Check[];
}
const STAGES: readonly Stage[] = [
  { told: 'A stack without hosts:', args: [], checks: CHECKS },
  { told: 'A stack with a host:', args: ['--agents', '1'], checks: HOST_CHECKS },
];

async function play(source: string, directory: string): Promise<Counts> {
  console.log('Building the page.');
  const page = await buildPage(source, directory);
  const browser = await openBrowser();
  const run = new Run(directory);
  const home = join(directory, 'home');
  try {
    for (const stage of STAGES) await playOn(run, browser, { home, page }, stage);
  } finally {
    await browser.close();
    unmountBelow(home);
  }
  return { passed: run.passed, failed: run.failed, skipped: 0 };
}

export async function main(): Promise<void> {
  const source = process.env.DECNET_WEB;
  if (!source) {
    console.log('skipped: DECNET_WEB names no folder of DECNET’s web page (decnet_web of its source).');
    console.log(totalsLine({ passed: 0, failed: 0, skipped: 1 }));
    return;
  }
  if (!existsSync(join(source, 'package-lock.json'))) {
    console.error(
      `DECNET_WEB=${source}: no package-lock.json is there. Name the folder decnet_web of DECNET’s source.`,
    );
    process.exitCode = 2;
    return;
  }
  const directory = mkdtempSync(join(tmpdir(), 'deckhand-wizard-'));
  let counts: Counts = { passed: 0, failed: 1, skipped: 0 };
  try {
    counts = await play(resolve(source), directory);
  } catch (error) {
    console.log(`✗ the test could not be played\n${(error as Error).message.replace(/^/gm, '    ')}`);
  }
  // Pictures stay.
  const kept = counts.failed > 0 || process.env.DECKHAND_TEST_PICTURES;
  for (const name of kept ? ['decnet_web', 'home'] : ['.'])
    rmSync(join(directory, name), { recursive: true, force: true });
  if (process.env.DECKHAND_TEST_PICTURES) console.log(`pictures: ${directory}`);
  console.log(totalsLine(counts));
  process.exitCode = counts.failed > 0 ? 1 : 0;
}
