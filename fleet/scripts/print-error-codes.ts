/** Prints docs/errors.md; `npm run docs:errors` writes it there. */
import { renderErrorsPage } from '../errors-page.ts';

process.stdout.write(renderErrorsPage());
