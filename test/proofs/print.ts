/** `npm run docs:proofs`: writes docs/proofs.md. */
import { writeFileSync } from 'node:fs';
import { findProofs, problemsOf, proofsPage } from './page.ts';

const proofs = findProofs();
const problems = problemsOf(proofs);
for (const problem of problems) console.error(problem);
if (problems.length > 0) process.exitCode = 1;
else writeFileSync(new URL('../../docs/proofs.md', import.meta.url), proofsPage(proofs));
