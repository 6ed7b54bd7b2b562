/** What a person does with the page, one after the other. Each check begins where the one before it left the page. */
import assert from 'node:assert/strict';
import type { Locator, Page } from 'playwright-core';
import { ARCHETYPES, serviceByName } from '../../fleet/catalog.ts';
import type { StackFile } from '../../stack/home.ts';

export interface Scene {
  readonly page: Page;
  readonly url: string;
  readonly admin: StackFile['admin'];
  /** Of the names of this run's deckies. */
  readonly prefix: string;
}

export type Check = readonly [title: string, play: (scene: Scene) => Promise<void>];

/** Real images are built and pulled at the first deploy. */
const DEPLOY_MS = 180_000;
const VIEWER = { username: 'vera', first: 'Viewer-password-1', second: 'Viewer-password-2' };
const DECKIES = 2;

async function waitUntil(what: string, done: () => Promise<boolean>, limitMs = 30_000): Promise<void> {
  for (const end = Date.now() + limitMs; !(await done()); ) {
    if (Date.now() > end) throw new Error(`${what}: not within ${limitMs / 1000} s`);
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
}

async function logIn({ page, url }: Scene, username: string, password: string): Promise<void> {
  if (!page.url().startsWith(url)) await page.goto(url);
  await page.locator('input[type=text]').fill(username);
  await page.locator('input[type=password]').fill(password);
  await page.getByRole('button', { name: 'ESTABLISH CONNECTION' }).click();
}

async function logOut({ page, url }: Scene): Promise<void> {
  await page.evaluate('localStorage.removeItem("token")');
  await page.goto(url);
  await page.getByRole('button', { name: 'ESTABLISH CONNECTION' }).waitFor();
}

async function visit({ page, url }: Scene, path: string, heading: string): Promise<void> {
  await page.goto(url + path);
  await page.getByRole('heading', { name: heading }).waitFor();
}

const toast = (page: Page, text: string): Locator => page.locator('.toast', { hasText: text });
const card = (page: Page, name: string): Locator => page.locator('.decky-card', { hasText: name });
const modal = (page: Page): Locator => page.getByRole('dialog').last();
const next = (page: Page): Promise<void> => page.getByRole('button', { name: 'NEXT →' }).click();
const nameOf = ({ prefix }: Scene, index: number): string =>
  `${prefix}-${String(index).padStart(2, '0')}`.toUpperCase();

/** The page does not say what is under way; the master does. */
async function idle(page: Page): Promise<boolean> {
  const open = await page.evaluate<number>(
    `fetch('/api/v1/fleet', { headers: { authorization: 'Bearer ' + localStorage.getItem('token') } })
      .then((answer) => answer.json()).then(({ deckies }) => deckies.filter(({ open }) => open !== null).length)`,
  );
  return open === 0;
}

/** The click opens the panel of the decky too, which lies over the editor until one clicks beside it. */
async function openInterval(page: Page, one: Locator, shown: string): Promise<Locator> {
  await one.getByText(shown).click();
  const editor = page.getByRole('dialog').filter({ hasText: 'MUTATION INTERVAL' });
  await editor.waitFor();
  await page.mouse.click(5, 5);
  return editor;
}

async function openWizard(scene: Scene): Promise<void> {
  await visit(scene, '/fleet', 'DECOY FLEET');
  await scene.page.getByRole('button', { name: 'DEPLOY DECKIES' }).first().click();
  await scene.page.locator('.pick-card').first().waitFor();
}

/** Opens the settings of each service of the wizard's second page. */
async function compareSettings(page: Page, services: readonly string[]): Promise<void> {
  for (const service of services) {
    const block = page
      .locator('.wizard-svc-block')
      .filter({ has: page.locator(`.wizard-svc-name:text-is("${service}")`) });
    await block.locator('.wizard-svc-toggle').click();
    const fields = serviceByName(service)?.service_cfg_keys.filter((key) => key.declared_in_schema !== false) ?? [];
    const shown = block.locator('.svc-cfg-label');
    if (fields.length === 0) await block.getByText('No customizable fields').waitFor();
    await waitUntil(`the settings of ${service}`, async () => (await shown.count()) === fields.length);
    await block.locator('.wizard-svc-toggle').click();
  }
}

async function deployByWizard(scene: Scene, archetype: string, settings: (page: Page) => Promise<void>): Promise<void> {
  const { page, prefix } = scene;
  await openWizard(scene);
  await page.locator('.pick-card', { has: page.locator(`.pc-slug:text-is("${archetype}")`) }).click();
  await next(page);
  await page.locator('.modal-body input.input').first().fill(prefix);
  await page.locator('.modal-body input[type=range]').first().fill(String(DECKIES));
  await settings(page);
  await next(page);
  await page.getByText('ENABLE PERIODIC MUTATION').waitFor();
  await next(page);
  await page.getByRole('button', { name: 'ESTABLISH FLEET' }).click();
  const failed = page.getByRole('button', { name: /FAILED$/ });
  const deployed = toast(page, `DEPLOYED · ${DECKIES} DECKIES`);
  await waitUntil('the deploy', async () => (await deployed.count()) + (await failed.count()) > 0, DEPLOY_MS);
  if ((await failed.count()) > 0) assert.fail(await page.locator('.code-block').last().innerText());
  for (let index = 1; index <= DECKIES; index += 1) await card(page, nameOf(scene, index).toLowerCase()).waitFor();
}

async function tearDown(scene: Scene, index: number): Promise<void> {
  const { page } = scene;
  const name = nameOf(scene, index);
  const one = card(page, name.toLowerCase());
  await one.getByRole('button', { name: 'TEARDOWN' }).click();
  await one.getByRole('button', { name: 'CONFIRM' }).click();
  await toast(page, `TORN DOWN · ${name}`).waitFor();
}

/** A row offers every role, so that it is the name alone that tells it. */
const user = (page: Page, name: string): Locator =>
  page.locator('.users-table tbody tr').filter({ has: page.locator(`td:first-child:text-is("${name}")`) });

async function openUsers(scene: Scene): Promise<void> {
  await visit(scene, '/config', 'SYSTEM CONFIGURATION');
  await scene.page.getByRole('button', { name: 'USER MANAGEMENT' }).click();
  await user(scene.page, scene.admin.username).waitFor();
}

/** On a stack without hosts. */
export const CHECKS: readonly Check[] = [
  [
    // proof: field-4-8
    'the administrator logs in, and the landing page has its figures',
    async (scene) => {
      await logIn(scene, scene.admin.username, scene.admin.password);
      await scene.page.getByRole('heading', { name: 'DASHBOARD' }).waitFor();
      const cards = await scene.page.locator('.stat-card').allInnerTexts();
      assert.match(cards[0] ?? '', /TOTAL INTERACTIONS\s+0\s/);
      assert.match(cards[1] ?? '', /UNIQUE ATTACKERS\s+0\s/);
      assert.match(cards[2] ?? '', /ACTIVE DECKIES\s+0 \/ 0/);
    },
  ],
  [
    // proof: field-4-8
    'the wizard offers every archetype, each with the settings of its services',
    async (scene) => {
      const { page } = scene;
      await openWizard(scene);
      const offered = (): Promise<string[]> => page.locator('.pick-card .pc-slug').allTextContents();
      await waitUntil('all archetypes', async () => (await offered()).length === ARCHETYPES.length);
      assert.deepEqual(
        (await offered()).map((slug) => slug.trim().toLowerCase()),
        ARCHETYPES.map(({ slug }) => slug),
      );
      for (const { slug, services } of ARCHETYPES) {
        await page.locator('.pick-card', { has: page.locator(`.pc-slug:text-is("${slug}")`) }).click();
        await next(page);
        await compareSettings(page, services);
        await page.getByRole('button', { name: '← BACK' }).click();
      }
    },
  ],
  [
    'the wizard has the settings of every service that it lets one pick',
    async ({ page }) => {
      await page.getByRole('button', { name: 'PICK SERVICES' }).click();
      for (const one of await page.locator('.pick-card').all()) await one.click();
      await next(page);
      // The page's own list has a few services that neither the original nor this master has.
      const known = (await page.locator('.wizard-svc-name').allTextContents()).filter((name) => serviceByName(name));
      assert.ok(known.length >= 20, `only ${known.join(', ')}`);
      await compareSettings(page, known);
      await page.getByRole('button', { name: 'CANCEL' }).click();
    },
  ],
  [
    // proof: field-4-8
    'the wizard deploys deckies with settings of their own',
    (scene) =>
      deployByWizard(scene, 'linux-server', async (page) => {
        await page.locator('.wizard-svc-toggle', { hasText: 'ssh' }).click();
        await page.locator('#svc-cfg-wizard-ssh-user').fill('wizard');
        await page.locator('#svc-cfg-wizard-ssh-password').fill('opened by the wizard');
      }),
  ],
  [
    // proof: field-4-8
    'a decky is mutated, and its interval is changed and switched off',
    async (scene) => {
      const { page } = scene;
      const name = nameOf(scene, 1);
      const one = card(page, name.toLowerCase());
      await one.getByRole('button', { name: 'FORCE MUTATE' }).click();
      await toast(page, `MUTATED · ${name}`).waitFor();
      const changed = await openInterval(page, one, 'EVERY 30m');
      await changed.locator('input[type=range]').fill('60');
      await changed.getByRole('button', { name: 'SAVE' }).click();
      await toast(page, `INTERVAL · ${name} · 60m`).waitFor();
      const off = await openInterval(page, one, 'EVERY 60m');
      await off.locator('input[type=checkbox]').uncheck();
      await off.getByRole('button', { name: 'SAVE' }).click();
      await toast(page, `INTERVAL · ${name} · DISABLED`).waitFor();
      await one.getByText('DISABLED').waitFor();
      await waitUntil('the mutation', () => idle(page), DEPLOY_MS);
    },
  ],
  [
    'the landing page counts what was deployed',
    async (scene) => {
      await visit(scene, '/', 'DASHBOARD');
      const active = scene.page.locator('.stat-card', { hasText: 'ACTIVE DECKIES' });
      await waitUntil('the deckies', async () => new RegExp(`${DECKIES} / ${DECKIES}`).test(await active.innerText()));
    },
  ],
  [
    // proof: field-4-8
    'deckies are torn down',
    async (scene) => {
      await visit(scene, '/fleet', 'DECOY FLEET');
      await tearDown(scene, 2);
      await waitUntil(
        'the second to go',
        async () => (await card(scene.page, nameOf(scene, 2).toLowerCase()).count()) === 0,
      );
      await tearDown(scene, 1);
      await waitUntil('the fleet to be empty', async () => (await scene.page.locator('.decky-card').count()) === 0);
    },
  ],
  [
    'a host is enrolled by a bundle, shown, and decommissioned',
    async (scene) => {
      const { page } = scene;
      await visit(scene, '/swarm/hosts', 'SWARM HOSTS');
      await page.getByRole('button', { name: 'ENROLL HOST' }).first().click();
      const inputs = modal(page).locator('input.input, input[type=text]');
      await inputs.nth(0).fill('192.0.2.1');
      await inputs.nth(1).fill('wizard-host');
      await next(page);
      await next(page);
      await page.getByRole('button', { name: 'GENERATE BUNDLE' }).click();
      await modal(page).getByText('curl -fsSL').waitFor();
      await modal(page)
        .getByRole('button', { name: /CLOSE|DONE/ })
        .first()
        .click();
      const row = page.locator('.data-table tbody tr', { hasText: 'wizard-host' });
      await row.waitFor();
      await row.getByRole('button', { name: 'Decommission' }).click();
      await row.getByRole('button', { name: 'Click again to confirm' }).click();
      await row.waitFor({ state: 'detached' });
    },
  ],
  [
    'the deployment limit and the global interval are set',
    async (scene) => {
      const { page } = scene;
      await visit(scene, '/config', 'SYSTEM CONFIGURATION');
      await page.locator('.config-panel input').first().fill('120');
      await page.locator('.save-btn').click();
      await page.getByText('DEPLOYMENT LIMIT UPDATED').waitFor();
      await page.getByRole('button', { name: 'GLOBAL VALUES' }).click();
      await page.locator('.config-panel input').first().fill('45m');
      await page.locator('.save-btn').first().click();
      await page.locator('.config-success').waitFor();
    },
  ],
  [
    // proof: field-4-8
    'a user is made, gets another role, and a new password',
    async (scene) => {
      const { page } = scene;
      await openUsers(scene);
      const form = page.locator('.add-user-form');
      await form.locator('input[type=text]').fill(VIEWER.username);
      await form.locator('input[type=password]').fill(VIEWER.first);
      await form.getByRole('button', { name: 'ADD USER' }).click();
      await page.getByText('USER CREATED').waitFor();
      const row = user(page, VIEWER.username);
      for (const role of ['admin', 'viewer']) {
        await row.locator('select').selectOption(role);
        await row.locator(`.role-badge.${role}`).waitFor();
      }
      await row.getByRole('button', { name: 'RESET' }).click();
      await row.getByPlaceholder('New password').fill(VIEWER.first);
      await row.getByRole('button', { name: 'SET', exact: true }).click();
      await row.getByRole('button', { name: 'RESET' }).waitFor();
    },
  ],
  [
    'the user changes the password at the first login, and sees the fleet as a viewer',
    async (scene) => {
      const { page } = scene;
      await logOut(scene);
      await logIn(scene, VIEWER.username, VIEWER.first);
      await page.getByText('MANDATORY SECURITY UPDATE').waitFor();
      const inputs = page.locator('input[type=password]');
      await inputs.nth(0).fill(VIEWER.second);
      await inputs.nth(1).fill(VIEWER.second);
      await page.getByRole('button', { name: 'UPDATE SECURE KEY' }).click();
      await page.getByRole('heading', { name: 'DASHBOARD' }).waitFor();
      await visit(scene, '/fleet', 'DECOY FLEET');
      assert.equal(await page.getByRole('button', { name: 'DEPLOY DECKIES' }).count(), 0);
    },
  ],
  [
    'the user is deleted',
    async (scene) => {
      const { page } = scene;
      await logOut(scene);
      await logIn(scene, scene.admin.username, scene.admin.password);
      await page.getByRole('heading', { name: 'DASHBOARD' }).waitFor();
      await openUsers(scene);
      const row = user(page, VIEWER.username);
      await row.getByRole('button', { name: 'DELETE' }).click();
      await row.getByRole('button', { name: 'YES' }).click();
      await row.waitFor({ state: 'detached' });
    },
  ],
];

/** On a stack with one host. */
export const HOST_CHECKS: readonly Check[] = [
  [
    'an active host is shown',
    async (scene) => {
      await logIn(scene, scene.admin.username, scene.admin.password);
      await scene.page.getByRole('heading', { name: 'DASHBOARD' }).waitFor();
      await visit(scene, '/swarm/hosts', 'SWARM HOSTS');
      await scene.page.locator('.data-table tbody tr', { hasText: 'active' }).waitFor();
    },
  ],
  // proof: field-4-8
  ['the wizard deploys deckies to the host', (scene) => deployByWizard(scene, 'web-server', async () => undefined)],
  [
    'a decky is torn down on its host, then all of the host',
    async (scene) => {
      const { page } = scene;
      await tearDown(scene, 1);
      await visit(scene, '/swarm/hosts', 'SWARM HOSTS');
      const row = page.locator('.data-table tbody tr').first();
      await row.getByRole('button', { name: 'Teardown all' }).click();
      await row.getByRole('button', { name: 'Click again to confirm' }).click();
      await visit(scene, '/fleet', 'DECOY FLEET');
      await waitUntil('the fleet to be empty', async () => (await page.locator('.decky-card').count()) === 0, 60_000);
    },
  ],
];
