/** Reading Prometheus' text format. */

export async function scrape(port: number): Promise<string> {
  const answer = await fetch(`http://127.0.0.1:${port}/metrics`);
  if (answer.status !== 200) throw new Error(`/metrics answers ${answer.status}`);
  return answer.text();
}

/** The value of the series that has these labels among its own; null where there is none. Several are added up. */
export function sample(text: string, name: string, labels: Readonly<Record<string, string>> = {}): number | null {
  const wanted = Object.entries(labels).map(([label, value]) => `${label}="${value}"`);
  const found = text
    .split('\n')
    .map((line) => /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$/.exec(line))
    .filter((match) => match?.[1] === name && wanted.every((label) => (match[2] ?? '').split(',').includes(label)));
  return found.length === 0 ? null : found.reduce((sum, match) => sum + Number(match?.[3]), 0);
}
