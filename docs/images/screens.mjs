/** Screenshots of the Temporal Web UI: the list of workflows, and a deploy that still waits for its deckies. */
import { setTimeout as sleep } from 'node:timers/promises';
import { chromium } from 'playwright-core';

const VIEW = { width: 1280, height: 800 };
const BROWSERS = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];

async function launch() {
  const chosen = process.env.DECKHAND_TEST_CHROMIUM;
  for (const executablePath of chosen ? [chosen] : BROWSERS)
    try {
      return await chromium.launch({ executablePath, args: ['--no-sandbox'] });
    } catch (error) {
      process.stderr.write(`${executablePath}: ${error.message.split('\n')[0]}\n`);
    }
  throw new Error('There is no Chromium. Install it, name it in DECKHAND_TEST_CHROMIUM, or add --no-screens.');
}

async function picture(page, url, name) {
  await page.goto(url, { waitUntil: 'domcontentloaded' });
  // The page asks for its data piece by piece, and has no sign that all of it is there.
  await sleep(8_000);
  await page.screenshot({ path: new URL(`./${name}.png`, import.meta.url).pathname });
}

/** `command` runs `deckhand`; the deploy that is shown is held open by a long min_healthy_time. */
export async function takeScreens(stack, command, ended) {
  await ended(command('quiet', 'teardown', '--all', '--wait'));
  const deploy = command('quiet', 'deploy', 'examples/quickstart.ini', '--min-healthy-time', '3m', '--json');
  let accepted = '';
  deploy.on('said', (text) => {
    accepted += `${text}\n`;
  });
  await ended(deploy);
  const id = JSON.parse(accepted).deployment_id;
  const browser = await launch();
  try {
    const page = await browser.newPage({ viewport: VIEW, deviceScaleFactor: 1 });
    const all = `${stack.temporal_ui_url}/namespaces/${stack.temporal_namespace}/workflows`;
    // The first visit shows what is new in that version; the second does not.
    await page.goto(all);
    await sleep(10_000);
    await picture(page, `${all}/${encodeURIComponent(`deploy/${id}/local`)}`, 'local');
    await picture(page, `${all}?query=${encodeURIComponent("DeckhandKind = 'work'")}`, 'workflows');
  } finally {
    await browser.close();
    await ended(command('quiet', 'cancel', id, '--wait'));
  }
}
