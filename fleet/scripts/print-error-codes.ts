/** Prints docs/errors.md; `npm run docs:errors` writes it there. */
import { renderErrorsPage } from '../errors.ts';

process.stdout.write(renderErrorsPage());
