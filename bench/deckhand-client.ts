/** Deckhand as a client sees it: over HTTP, by polling. */
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import type { StackFile } from '../stack/home.ts';

/** Between two looks at the rows, unless said otherwise: what a figure may be late by. */
const POLL_MS = 50;
const DEADLINE_MS = 300_000;

const accepted = z.object({
  lifecycle_ids: z.array(z.string()),
  removed_lifecycle_ids: z.array(z.string()).default([]),
});
const rows = z.object({
  rows: z.array(z.object({ decky_name: z.string(), status: z.string(), error: z.string().nullish() })),
});
const token = z.object({ access_token: z.string() });
const deckies = z.array(z.object({ name: z.string() }));

export class DeckhandClient {
  readonly #url: string;
  readonly #token: string;

  private constructor(url: string, bearer: string) {
    this.#url = url;
    this.#token = bearer;
  }

  static async login({ api_url, admin }: StackFile): Promise<DeckhandClient> {
    const url = `${api_url}/api/v1`;
    const answer = await fetch(`${url}/auth/login`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(admin),
    });
    return new DeckhandClient(url, token.parse(await answer.json()).access_token);
  }

  /** Returns the ids of all rows once the request was accepted. */
  async accept(ini: string, replaceFleet: boolean): Promise<readonly string[]> {
    const body = { ini_content: ini, replace_fleet: replaceFleet, min_healthy_time: 0 };
    const answer = await this.#ask('POST', '/deckies/deploy', body);
    const { lifecycle_ids, removed_lifecycle_ids } = accepted.parse(await answer.json());
    return [...lifecycle_ids, ...removed_lifecycle_ids];
  }

  /** Resolves when all rows have succeeded. Throws with the first error when one has failed. */
  async succeeded(ids: readonly string[], pollMs = POLL_MS): Promise<void> {
    const query = new URLSearchParams(ids.map((id): [string, string] => ['ids', id]));
    for (const until = Date.now() + DEADLINE_MS; Date.now() < until; await sleep(pollMs)) {
      const answer = rows.parse(await (await this.#ask('GET', `/deckies/lifecycle?${query}`)).json());
      const failed = answer.rows.find((row) => row.status === 'failed');
      if (failed) throw new Error(`${failed.decky_name} failed: ${failed.error}`);
      if (answer.rows.length === ids.length && answer.rows.every((row) => row.status === 'succeeded')) return;
    }
    throw new Error(`Rows are still open after ${DEADLINE_MS / 1000} s.`);
  }

  async deploy(ini: string, replaceFleet: boolean, pollMs = POLL_MS): Promise<void> {
    await this.succeeded(await this.accept(ini, replaceFleet), pollMs);
  }

  /** Takes the whole fleet down. */
  async teardown(): Promise<void> {
    const names = deckies.parse(await (await this.#ask('GET', '/deckies')).json()).map(({ name }) => name);
    await Promise.all(names.map((name) => this.#takeDown(name)));
  }

  async #takeDown(name: string): Promise<void> {
    const answer = await this.#ask('DELETE', `/deckies/${encodeURIComponent(name)}`);
    if (answer.status === 202) await this.succeeded(accepted.parse(await answer.json()).lifecycle_ids);
  }

  async #ask(method: string, path: string, body?: object): Promise<Response> {
    const answer = await fetch(`${this.#url}${path}`, {
      method,
      headers: { authorization: `Bearer ${this.#token}`, 'content-type': 'application/json' },
      ...(body ? { body: JSON.stringify(body) } : {}),
    });
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
    return answer;
  }
}
