/** Recorded exchanges, and how an answer is held against one. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { ADDED_KEYS, allow, OUR_ANSWERS } from './allowances.ts';

export interface Step {
  readonly name: string;
  /** Which token is sent; null: none. */
  readonly auth: string | null;
  readonly method: string;
  readonly path: string;
  readonly body?: unknown;
  /** Sent as it is, in place of `body`. */
  readonly raw?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** `of <host>` or `of nobody`. */
  readonly certificate?: string;
  readonly note?: string;
  readonly status: number;
  readonly answer: unknown;
  readonly answer_headers?: Readonly<Record<string, string>>;
}

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  readonly text: string;
  /** undefined where the answer is no JSON. */
  readonly json: unknown;
}

const PLACEHOLDERS: Readonly<Record<string, RegExp>> = {
  '<jwt>': /^[\w-]+\.[\w-]+\.[\w-]+$/,
  '<uuid>': /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/,
  '<time>': /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/,
  '<ticket>': /^[\w-]{20,}$/,
  '<sha256>': /^[0-9a-f]{64}$/,
  '<pem>': /^-----BEGIN [A-Z ]+-----\n/,
  '*': /./,
};

/** A network interface of this machine, for INIs that name one. */
function interfaceHere(): string {
  const names = Object.entries(networkInterfaces()).filter(([, addresses]) => addresses?.some((one) => !one.internal));
  return names[0]?.[0] ?? 'lo';
}

/** An address of this machine that is not loopback. */
export function outsideAddress(): string {
  const addresses = Object.values(networkInterfaces()).flatMap((found) => found ?? []);
  const outside = addresses.find((one) => !one.internal && one.family === 'IPv4');
  return outside?.address ?? assert.fail('This machine has loopback only.');
}

const textOf = (file: string): string =>
  readFileSync(new URL(`../fixtures/exchanges/${file}`, import.meta.url), 'utf8');

export const stepNames = (file: string): string[] => (JSON.parse(textOf(file)) as Step[]).map(({ name }) => name);

/** The recording with this machine's places in it: `pool` is a free subnet (a /24), `ports` maps recorded ports to free ones. */
export function readRecording(file: string, pool: string, ports: Readonly<Record<string, number>> = {}): Step[] {
  const subnet = pool.split('.').slice(0, 3).join('.');
  let text = textOf(file)
    .replaceAll('10.77.0.', `${subnet}.`)
    .replaceAll('interface=eth0', `interface=${interfaceHere()}`);
  for (const [recorded, free] of Object.entries(ports)) text = text.replaceAll(recorded, String(free));
  allow('place of this machine');
  return JSON.parse(text) as Step[];
}

/** What the placeholders of a recording stand for. */
export class Names {
  readonly #known = new Map<string, string>();

  set(name: string, value: string): void {
    this.#known.set(name, value);
  }

  /** Throws for one that no answer has told yet. */
  get(name: string): string {
    return this.#known.get(name) ?? assert.fail(`${name} is not known yet`);
  }

  resolve<T>(value: T): T {
    const text = JSON.stringify(value)
      .replace(/<(row|user|host|fingerprint):[\w-]+>/g, (name) => this.#known.get(name) ?? name)
      .replaceAll('<time>', new Date().toISOString());
    return JSON.parse(text) as T;
  }

  /** Throws unless the answer is the recorded one, to the letter; allowances apart. */
  judge(step: Step, answer: Answer): void {
    const ours = OUR_ANSWERS[step.name];
    if (ours) {
      assert.equal(answer.status, ours.status, answer.text);
      const { detail, ...rest } = answer.json as { detail: string };
      assert.match(detail, ours.detail);
      assert.deepEqual(rest, {});
      allow('ours differs on purpose');
      return;
    }
    assert.equal(answer.status, step.status, answer.text);
    const { text } = (step.answer ?? {}) as { text?: string };
    if (step.answer === null) assert.equal(answer.text, '');
    else if (text !== undefined) assert.equal(answer.text, text);
    else this.#matches(step.answer, answer.json, 'answer');
    for (const [name, value] of Object.entries(step.answer_headers ?? {}))
      assert.equal(answer.headers[name.toLowerCase()], value, name);
  }

  #matches(expected: unknown, actual: unknown, where: string): void {
    if (typeof expected === 'string') this.#matchesText(expected, actual, where);
    else if (Array.isArray(expected)) {
      assert.ok(Array.isArray(actual), where);
      assert.equal(actual.length, expected.length, `${where}: length`);
      for (const [index, item] of expected.entries()) this.#matches(item, actual[index], `${where}[${index}]`);
    } else if (typeof expected === 'object' && expected !== null) this.#matchesObject(expected, actual, where);
    else assert.equal(actual, expected, where);
  }

  #matchesText(expected: string, actual: unknown, where: string): void {
    const pattern = PLACEHOLDERS[expected];
    if (pattern) assert.match(String(actual), pattern, where);
    else if (/^<row:/.test(expected) && !this.#known.has(expected)) this.set(expected, String(actual));
    else if (expected === 'pending' && actual === 'running' && where.endsWith('.status')) allow('running for pending');
    else assert.equal(actual, this.#known.get(expected) ?? expected, where);
  }

  #matchesObject(expected: object, actual: unknown, where: string): void {
    assert.ok(typeof actual === 'object' && actual !== null, where);
    const added = Object.keys(actual).filter((key) => ADDED_KEYS.has(key) && !(key in expected));
    if (added.length > 0) allow('key of ours');
    const keys = Object.keys(actual).filter((key) => !added.includes(key));
    assert.deepEqual(keys.sort(), Object.keys(expected).sort(), where);
    for (const [key, value] of Object.entries(expected))
      this.#matches(value, Reflect.get(actual, key), `${where}.${key}`);
  }
}
