/** Reads a program's configuration from the environment by a schema, and says all that is wrong with it at once. */
import { z } from 'zod';

/** Thrown with one line per variable that is wrong; a program prints it and exits with 2. */
export class EnvironmentError extends Error {
  override readonly name = 'EnvironmentError';
}

/** Empty variables count as absent. Throws {@link EnvironmentError}. */
export function readEnvironment<T extends z.ZodType>(
  schema: T,
  environment: NodeJS.ProcessEnv = process.env,
): z.infer<T> {
  const given = Object.fromEntries(
    Object.entries(environment).filter(([, value]) => value !== undefined && value !== ''),
  );
  const result = schema.safeParse(given);
  if (result.success) return result.data;
  const lines = result.error.issues.map((issue) => `  ${issue.path.join('.')}: ${issue.message}`);
  throw new EnvironmentError(`The environment is not right:\n${lines.join('\n')}\nSee docs/environment.md.`);
}

/** `true|false|1|0|yes|no`, any case. */
export const booleanVariable = z
  .string()
  .transform((text) => text.trim().toLowerCase())
  .pipe(z.enum(['true', 'false', '1', '0', 'yes', 'no'], 'must be true or false'))
  .transform((text) => ['true', '1', 'yes'].includes(text));

export const portVariable = z.coerce.number('must be a port number').int().min(0).max(65_535);
