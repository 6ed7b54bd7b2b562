/** What a person would see as an error, while the page is used: collected, so that none of it is missed. */
import type { Page } from 'playwright-core';

/** Parts of DECNET that this master does not have (docs/clients.md): what is asked there may be 404. */
const OUT_OF_SCOPE = [
  /^\/api\/v1\/(logs|attackers|bounty|credentials|credential-reuse|identities|campaigns|ttp|artifacts|transcripts)\b/,
  /^\/api\/v1\/(canary|realism|orchestrator|workers|swarm-updates|webhooks)\b/,
  /^\/api\/v1\/topologies(\/?$|\/(?!archetypes$|services$|services\/))/,
];
/** The page's own ways to say that something went wrong. */
const RED = '.toast.alert, .error-msg, .error-box, .config-error, .svc-cfg-status.alert-text, .info-banner.warn';

export interface RedMessages {
  /** What was seen since the last call, and on the page now. */
  take(): Promise<string[]>;
}

export function watchFor(page: Page): RedMessages {
  let seen: string[] = [];
  page.on('response', (response) => {
    const { pathname } = new URL(response.url());
    if (response.status() < 400 || OUT_OF_SCOPE.some((pattern) => pattern.test(pathname))) return;
    seen.push(`${response.request().method()} ${pathname} was answered with ${response.status()}`);
  });
  page.on('requestfailed', (request) => {
    const why = request.failure()?.errorText ?? 'no reason';
    // The page left before the answer was there; or it asked the internet, which there is none of.
    const ours = new URL(request.url()).origin === new URL(page.url()).origin;
    if (ours && why !== 'net::ERR_ABORTED') seen.push(`${request.method()} ${request.url()} failed: ${why}`);
  });
  page.on('pageerror', (error) => seen.push(`an error of the page: ${error.message}`));
  page.on('dialog', (dialog) => {
    seen.push(`a dialog: ${dialog.message()}`);
    void dialog.dismiss();
  });
  return {
    async take() {
      const shown = await page.locator(RED).allInnerTexts();
      const all = [...seen, ...shown.map((text) => `on the page: ${text}`)];
      seen = [];
      return all;
    },
  };
}
