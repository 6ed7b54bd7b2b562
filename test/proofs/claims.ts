/** What Deckhand claims. A test that shows a claim has a line `// proof: id` above it; `npm run docs:proofs` writes docs/proofs.md. */

export interface Claim {
  readonly id: string;
  readonly claim: string;
  /** What the tests do not say: figures that were seen and when, and what is still open. */
  readonly note?: string;
}

export interface Section {
  readonly title: string;
  readonly intro?: string;
  readonly claims: readonly Claim[];
}

export const SECTIONS: readonly Section[] = [
  {
    title: 'The ten promises',
    claims: [
      {
        id: 'promise-1',
        claim: '1. A `202` is kept, whatever process is killed',
        note: '`npm run test:drill` kills processes at many moments.',
      },
      { id: 'promise-2', claim: '2. A row that has ended never changes; no two open rows for a decky' },
      {
        id: 'promise-3',
        claim: '3. A `204` to a heartbeat is kept',
        note: "`deploy-shard.test.ts` shows a report that never arrived, `swarm-faults.test.ts` one that was lost with the agent's disk.",
      },
      { id: 'promise-4', claim: '4. A stale report never seals a newer attempt' },
      {
        id: 'promise-5',
        claim: '5. Every transition reaches NATS at least once, in order; a broken bus delays nobody',
      },
      {
        id: 'promise-6',
        claim: '6. Operations on one host never overlap, and run in order',
        note: "Local operations, operations over hosts, and one activity at a time on a decky of the master's engine.",
      },
      { id: 'promise-7', claim: '7. Nothing waits for ever, and one sentence says for what' },
      { id: 'promise-8', claim: '8. “Succeeded” means that the containers run and stayed up' },
      { id: 'promise-9', claim: "9. One decky's failure fails that decky, and the row says why" },
      { id: 'promise-10', claim: '10. No secret in a history, a log line, an event' },
    ],
  },
  {
    title: 'What the first release must show',
    claims: [
      {
        id: 'fresh-clone',
        claim: 'A fresh clone: `npm start -- --once` ends with `N succeeded, 0 failed`, exit 0, nothing left behind',
        note: '`fresh-clone.test.ts` does it with a real `npm ci`.',
      },
      { id: 'start-stays', claim: '`npm start` stays, prints its URLs, the fleet answers on its addresses' },
      {
        id: 'subscribers',
        claim: "Subscribers see `running` then `succeeded` in DECNET's envelope; a late one gets them once",
      },
      {
        id: 'killed-processes',
        claim: '`kill -9` of worker, API, both, ten moments each; NATS down throughout',
        note: 'The tests take one seeded moment each. Ten of each: `npm run test:drill -- --seed 4242 --rounds 10 --kinds worker,api,both`, seen on 24 November 2026: 30 of 30 (a deploy took 5,459 ms undisturbed), and 30 of 30 that evening with `npm test` beside it (load 12 to 25). `-- --seed 1127 --rounds 10` and `-- --seed 1129 --rounds 10`, NATS too, seen on 27 November 2026: 40 of 40 each. Seed 1127 again later that day, with programs loaded as bundles and two other drills beside it: 39 of 39; the last round of NATS had no time.',
      },
      {
        id: 'lost-workflows',
        claim: "`deployFleet` terminated; Temporal's database deleted: no row open 3 minutes later",
      },
      {
        id: 'same-again',
        claim:
          'The same fleet again touches no container; one changed: only that one; one left out: only that one gone',
      },
      {
        id: 'one-bad-decky',
        claim:
          "An image that can't be had, a service that exits at once, an address that is taken: that decky fails, with evidence",
        note: 'Both at the engine and through rows.',
      },
      { id: 'bad-input', claim: 'Bad input is a 4xx with a sentence, and nothing changes' },
      {
        id: 'web-ui',
        claim:
          'The Web UI finds the deploy by `DeckyName`; its details say who is done and who is waited for; no secret in the history',
      },
      {
        id: 'compose-takeover',
        claim: '`docker compose up -d` right after a deploy changes nothing',
        note: 'The takeover is skipped where the Compose plugin is absent.',
      },
      {
        id: 'two-stacks',
        claim: "Two stacks beside each other, and tests beside a running stack: neither touches the other's",
      },
      { id: 'command', claim: 'The command: live view, plain lines, `--json`, exit codes' },
      {
        id: 'supervisor',
        claim: 'What dies comes back; a second start picks up; half-written state is no obstacle',
        note: 'Both with the supervisor alone and with the whole stack.',
      },
      {
        id: 'bundles',
        claim:
          "What is read is what runs: a program is bundled when a source or a package's version has changed, once, and by tsx where nothing can be kept",
      },
      { id: 'decoys', claim: "Every decoy gives its protocol's first answer; hostile input can't stop it" },
      {
        id: 'bench',
        claim:
          'Bench: at most 1.2 × bare engine calls, 1.1 × `docker compose up`, 0.5 × a repeated one; accepting at most 1.5 × a bare update',
        note: '`npm run bench`, seen on 24 November 2026, the last of five runs: deploys held (1.10 and 1.04); accepting 1.57 (1.40 in the run before), again 1.03; `docs/bench.md` says where the time goes. Four runs on a slower machine on 27 November 2026: deploy 1.18, 1.25, 1.21 and 1.12 of the bare calls, 1.26 and 1.05 of `docker compose up`; accepting 1.24 to 1.32, which held; again 1.20 and 1.21. The tests hold what was mended.',
      },
      {
        id: 'test-time',
        claim: '`npm test` in less than 15 minutes with caches',
        note: '`npm test`, seen on 24 November 2026: 14 minutes on a clean clone, `npm ci` included, on two cores. On a slower machine on 27 November 2026: 13 minutes 52 likewise, and more than 16 before programs were loaded as bundles and lanes were laid out anew. The runner bounds the time of each room.',
      },
    ],
  },
  {
    title: 'What the swarm must show',
    claims: [
      {
        id: 'swarm-start',
        claim: '`npm start -- --once --agents 3`: real containers over three agents, `N succeeded, 0 failed`',
      },
      {
        id: 'swarm-web-ui',
        claim:
          'The Web UI shows a parent with a child per host, each found by `HostUuid`, each saying what it waits for',
      },
      {
        id: 'swarm-kills',
        claim: '`kill -9` of API, worker and each agent in a deploy over three agents: every row ends `succeeded`',
        note: 'The tests take one seeded moment each. Ten of each: `npm run test:drill -- --seed 515 --agents 3 --rounds 10 --kinds worker,api,agent-1,agent-2,agent-3`, seen on 24 November 2026: 50 of 50. After shards were begun eight at a time, seeds 515 and 516 with five rounds each: 50 of 50. `-- --agents 3 --seed 1130 --rounds 10`, which kills all agents at once too, on 27 November 2026, and `--seed 1128` later that day: 60 of 60 each.',
      },
      {
        id: 'host-lost',
        claim:
          'An agent that never comes back: `HostLost`, the others long before; back later, it is shown as it is, no ended row changes',
      },
      {
        id: 'heartbeats',
        claim:
          "Heartbeats twice, late, out of order, of an earlier attempt, for another host's decky, with another's certificate, with one delta of nonsense",
      },
      { id: 'lost-delta', claim: "A delta that was lost with the agent's disk is settled in less than 2 minutes" },
      { id: 'host-order', claim: 'Two deploys and a removal for one host run in order; another host does not wait' },
      {
        id: 'enrolment',
        claim:
          "Enrolment: 409, 404, 403, foreign CA, no operator endpoint for an agent's certificate, reserved names, removal at once",
      },
      {
        id: 'agent-trust',
        claim: 'An agent refuses foreign clients and other hosts, and reports to nobody who poses as the master',
      },
      { id: 'agent-pin', claim: 'The master refuses an agent with another fingerprint and has sent it nothing' },
      { id: 'one-shot-token', claim: 'The one-shot token works once, also when used twice at the same moment' },
      {
        id: 'first-host',
        claim: "Enrolling the first host moves no local decky; an unreachable host's deckies appear nowhere else",
      },
      {
        id: 'interop',
        claim: "Interop: DECNET 1.0.0's agent serves a deploy and a teardown of ours",
        note: 'Skipped where Python is absent.',
      },
      { id: 'renewal', claim: 'Renewal, by `host renew` and by itself' },
      { id: 'max-parallel', claim: '`max_parallel`, and an unreachable host gives its slot back' },
      {
        id: 'bench-swarm',
        claim: '`npm run bench:swarm`: the ratios, growth, heartbeats, burst',
        note: "`npm run bench:swarm`, seen on 24 November 2026: heartbeats (87 and 102 times DECNET's rate), burst, memory, 50 × 20 (0.71, 0.47 of DECNET) and 200 × 50 (1.24) held; so did growth (6 % apart). A quarter of DECNET's time at 200 × 50 (0.29) fell short, and `docs/bench.md` says why. On 27 November 2026 on a slower machine: 1.24 and 1.05; heartbeats, burst and memory held. Of DECNET's time 0.62, 0.49, 0.59 and 0.54 at 50 × 20 in four runs (held once), and 0.28, 0.21, 0.21, 0.29 and 0.22 at 200 × 50 in five (held three times), for reasons in `docs/bench.md`. Growth held (14 and 2 % apart).",
      },
    ],
  },
  {
    title: 'What the whole master must show',
    claims: [
      { id: 'mutate', claim: 'Mutate, by hand, local and on hosts: only that decky, and what was before comes back' },
      { id: 'rotation', claim: 'Rotation by the clock: a Schedule per decky, rows like by hand, skips recorded' },
      {
        id: 'conformance',
        claim: 'Conformance: every recorded exchange, and each row of the tables, against both listeners',
        note: '`npm run test:conformance` plays 112 of 112 recorded exchanges, and 143 of 143 rows: 90 by requests, 53 by a named test.',
      },
      { id: 'events', claim: '`GET /events`: resumable, filtered, many readers' },
      { id: 'audit', claim: '`GET /audit`' },
      { id: 'pruned', claim: 'What is kept, and pruned' },
      { id: 'observability', claim: 'Metrics, dashboard, alerts, traces' },
      { id: 'drift', claim: 'A container removed by hand is drift within one heartbeat, and `reconcile` mends it' },
      { id: 'stays-stopped', claim: 'A stopped decky stays stopped' },
      { id: 'unknown-never-gone', claim: 'Unknown, never gone' },
      { id: 'reconcile-interval', claim: '`reconcile_interval` mends by itself, with growing pauses' },
      { id: 'access-matrix', claim: 'Matrix of endpoints × callers, from the routes themselves' },
      { id: 'no-secret', claim: 'No secret anywhere after a full run' },
      { id: 'limits', claim: 'Limits, slow clients, headers, CORS' },
      { id: 'tls', claim: 'TLS for operators' },
      { id: 'security-page', claim: '`docs/security.md`; the lock file is audited' },
      {
        id: 'owed-teardown',
        claim:
          'Teardown with one of three hosts unreachable: two clean, the third listed, and clean within a heartbeat of its return',
      },
      {
        id: 'schemathesis',
        claim: 'Schemathesis: no 5xx but the documented 503, no answer outside the document',
        note: "The tests are skipped where Python is absent. `npm run test:schemathesis`, seen on 24 November 2026: 9,366 requests, and 9,491 with seed 209604 late that evening. On 27 November 2026: 9,529 with seed 350567, 9,530 with 148613, 9,557 with 111600; with the route that cancels 9,801 with 868503 and 9,785 with 558906; with one thread 9,788 with 136825 and 9,815 with 332614. With Temporal, NATS and PostgreSQL each stopped three times for 14 s in mid-run, at most 5 of 3,642 answers were 503, and none was outside the document. It found a 500 while NATS hung (`events-loss.test.ts`), a 431 that was not documented (`openapi.test.ts`), and texts that PostgreSQL can't hold (`api-bad-input.test.ts`).",
      },
      { id: 'openapi', claim: 'The OpenAPI document is whole and true' },
      {
        id: 'event-readers',
        claim: '200 readers of `/events` beside a deploy of 50 × 20',
        note: '`npm run bench:events`, seen on 24 November 2026, nothing else at work: each reader had each event once and in order; 1.06, 1.09 and 1.06 of the time without (`docs/bench.md`). On a slower machine on 27 November 2026: 1.05 to 1.17 before batches were framed once and written past the answer, and 1.06 to 1.08 since, in ten rounds each; 0.98 with readers of the usual priority.',
      },
      {
        id: 'lifecycle-rate',
        claim: '`GET /deckies/lifecycle` with 200 ids, 5 × 125 a second',
        note: "`npm run bench:api`, seen on 27 November 2026 beside DECNET's own API on one machine: 15.8 to 20.8 times its rate for ended rows, 5.7 to 7.6 times for running ones. On a faster machine on 24 November 2026: 2,729 and 720 a second (`docs/bench.md`).",
      },
      { id: 'log-ids', claim: 'One id through the logs of API, worker and agent' },
      {
        id: 'rotation-drill',
        claim: 'Three deckies that mutate every minute for ten minutes, API and worker killed twice each',
        note: '`npm run test:drill -- --rotate 10 --seed 616`, seen on 24 and 27 November 2026, and `--seed 617` four times that day: 30 actions, 30 rows, 0 skips, none overlaps.',
      },
      {
        id: 'gaps-page',
        claim: "`docs/gaps.md`: all of the original's gaps",
        note: '*Open:* C7 as far as a whole deployment is not rolled back.',
      },
      { id: 'move', claim: "Moving a host's deckies elsewhere (`host drain --move`, `host remove --move`)" },
    ],
  },
  {
    title: 'Gaps of the original',
    claims: [
      { id: 'gap-a1', claim: 'A1, A2, A3 work lost with its process' },
      { id: 'gap-a4', claim: 'A4 late success, A5 an agent that dies, A6 a result that is sent once' },
      { id: 'gap-a7', claim: 'A7 what runs closes no row, A8 deltas without an id' },
      { id: 'gap-a10', claim: 'A10 one bad delta poisons the rest, A12 events at most once' },
      { id: 'gap-a9', claim: 'A9 a dot in a name' },
      { id: 'gap-a11', claim: 'A11 a name twice after expansion' },
      { id: 'gap-a13', claim: 'A13 write and event in two steps' },
      { id: 'gap-a14', claim: 'A14 ended rows that change' },
      { id: 'gap-b1', claim: 'B1, B2 requests at the same time' },
      { id: 'gap-b3', claim: 'B3 no mutual exclusion, B8 many stores' },
      { id: 'gap-b9', claim: 'B9, B10 deckies that move by themselves' },
      { id: 'gap-b12', claim: 'B12 addresses that permute, B15 use_ipvlan, B16 shards that stay' },
      { id: 'gap-b5', claim: 'B5 a failed deploy blocks its own retry' },
      { id: 'gap-b7', claim: 'B7 a reconciler that deletes what is on its way; B14 two compose files' },
      { id: 'gap-b13', claim: 'B13 another network for a fleet that exists' },
      { id: 'gap-c1', claim: 'C1 hosts one after another, no retry' },
      { id: 'gap-c2', claim: 'C2 one bad build fails all' },
      { id: 'gap-c3', claim: 'C3 adding one restarts all' },
      { id: 'gap-c5', claim: 'C5 no progress' },
      { id: 'gap-c6', claim: 'C6 no crash check, C8 errors without the reason' },
      { id: 'gap-c9', claim: 'C9 permanent by a word in the text' },
      { id: 'gap-c17', claim: "C17 smtp_relay's container" },
      { id: 'gap-c19', claim: 'C19 untyped values, lone `%`' },
      { id: 'gap-c20', claim: 'C20 addresses of no sense' },
      { id: 'gap-c22', claim: 'C22 names that can be deployed and not removed' },
      { id: 'gap-d', claim: 'D names in certificates, the pin on another connection, renewal' },
      { id: 'gap-b4', claim: 'B4 reverted mutations, B6 nothing rolled back' },
      { id: 'gap-c10', claim: 'C10 to C14, C21 mutations and intervals' },
      { id: 'gap-c18', claim: 'C18 a dry run that reports success' },
      { id: 'gap-b11', claim: 'B11 hosts that lose all; B17, B18, C15, C16 teardown without a record, and half of it' },
    ],
  },
  {
    title: 'What the field broke',
    intro:
      'What was found from outside, by its number, with the test that failed before. The drill breaks the stack as the field did: `npm run test:drill -- --kinds docker,base,ctrl-c,freeze,postgres,nats` (`test/drills/kinds.ts`).',
    claims: [
      { id: 'field-1.1-1', claim: '1.1 one table of durations, no zero as a time-out' },
      { id: 'field-1.1-2', claim: "1.1 durations that can't both be met" },
      { id: 'field-1.1-3', claim: '1.1 an interval is refused by a sentence, and none is beyond 100 years' },
      {
        id: 'field-1.2-1',
        claim: '1.2 What an agent says, in any order and form, can be stored; the bound holds after secrets are cut',
      },
      { id: 'field-1.2-2', claim: '1.2 Data that PostgreSQL refuses ends its own row and no other' },
      { id: 'field-1.2-3', claim: '1.2 A long error, a NUL and an unknown state end rows when the agent is asked' },
      { id: 'field-1.2-4', claim: '1.2 Results that enter a history are bounded' },
      { id: 'field-1.3-1', claim: '1.3 Listening waits for no slot' },
      { id: 'field-1.3-2', claim: '1.3 Reports in any order end rows before a deadline is judged' },
      { id: 'field-1.4-1', claim: '1.4 What no retry cures ends rows at once with its code' },
      {
        id: 'field-1.4-2',
        claim:
          "1.4 A silent or failing host adds little to the history; the row's step says the last error and the deadline (3.7)",
      },
      { id: 'field-1.4-3', claim: '1.4 A long history goes on in a new run' },
      { id: 'field-1.4-4', claim: "1.4 A day's deadline has a bounded number of questions" },
      { id: 'field-1.4-5', claim: '1.4 No history passes 10,000 events for any accepted request: the arithmetic' },
      { id: 'field-1.4-6', claim: '1.4 Many hosts are done by groups within `max_parallel`; few are not' },
      { id: 'field-1.4-7', claim: '1.4 A cancellation, or somebody who terminates a group, leaves no row open' },
      { id: 'field-1.4-8', claim: '1.4 What a very large operation is given fits into a payload' },
      {
        id: 'field-1.4-9',
        claim:
          "1.4 A move of many deckies, and a network that can't be made with many local deckies, keep their histories short",
      },
      { id: 'field-1.5-1', claim: '1.5 a crash-looping agent resets no deadline' },
      { id: 'field-1.5-2', claim: '1.5 a repeated report or step is no progress, and an attempt has a bound' },
      { id: 'field-1.5-3', claim: '1.5 what is written down survives any restarts' },
      { id: 'field-1.6-1', claim: '1.6 an order that kills its agent fails, its innocent deckies come up' },
      { id: 'field-1.6-2', claim: '1.6 a teardown, a later order and a cancellation get through' },
      { id: 'field-1.6-3', claim: '1.6 last words name the order' },
      { id: 'field-1.6-4', claim: '1.6 half-written files go' },
      { id: 'field-1.6-5', claim: '1.6 a teardown that ends the agent is given up once' },
      { id: 'field-1.7-1', claim: '1.7 a frozen peer of any kind holds nobody up: worker, NATS, client or PostgreSQL' },
      { id: 'field-1.7-2', claim: '1.7 one drain per process' },
      { id: 'field-1.7-3', claim: '1.7 the socket that ends when the server is silent, with TLS too' },
      { id: 'field-1.7-4', claim: "1.7 a hung NATS holds up neither a ping nor the worker's end" },
      { id: 'field-1.8-1', claim: '1.8 Reading an INI is linear from text to plan or refusal' },
      { id: 'field-1.9-1', claim: '1.9 bounds at the edge' },
      { id: 'field-2.1-1', claim: "2.1 an image is a reference of Docker's grammar, or refused with its line" },
      { id: 'field-2.1-2', claim: "2.1 the grammar's vectors, and every text that it makes" },
      {
        id: 'field-2.1-3',
        claim: "2.1 the engine's client follows no redirect, asks nobody else, and ends every call",
      },
      { id: 'field-2.1-4', claim: '2.1 no name or image leads a request elsewhere' },
      {
        id: 'field-2.1-5',
        claim: '2.1, 1.6 a bad image fails its decky on an agent, which lives, and its neighbour comes up',
      },
      { id: 'field-2.2-1', claim: '2.2 a net that the machine has is refused by what is in its way' },
      {
        id: 'field-2.2-2',
        claim: "2.2 what the machine and its engine really have is read, the fleet's own left free",
      },
      { id: 'field-2.2-3', claim: '2.2 on agents' },
      { id: 'field-2.2-4', claim: '2.2 reserved nets are refused for every driver' },
      { id: 'field-2.2-5', claim: "2.2 the same on the engine's side, by the machine's interface" },
      { id: 'field-2.3-1', claim: '2.3 a net without room is refused at the door' },
      { id: 'field-2.3-2', claim: "2.3 what runs stays where the new network can't be made" },
      { id: 'field-2.3-3', claim: '2.3 an implied gateway is implied anew' },
      { id: 'field-2.4-1', claim: "2.4 no decky gets an address of the engine's machine" },
      { id: 'field-2.4-2', claim: '2.4 on a real macvlan beside the default route' },
      { id: 'field-2.4-3', claim: '2.4 on agents' },
      { id: 'field-2.5-1', claim: '2.5 No body makes a route of the three listeners answer 5xx' },
      { id: 'field-2.6-1', claim: '2.6 What is not UTF-8 is refused with its line and encoding' },
      { id: 'field-2.6-2', claim: '2.6 UTF-16 without its mark is named' },
      { id: 'field-2.7-1', claim: '2.7 A typing mistake earns a warning with line and nearest word' },
      { id: 'field-2.7-2', claim: '2.7 sections and commands that do something else than they seem to' },
      {
        id: 'field-3.1-1',
        claim:
          '3.1 A decky whose base was started after its services is seen by every look, and put right by it: it answers on its port',
      },
      { id: 'field-3.1-2', claim: '3.1 a decky that nobody reaches is not shown as running' },
      {
        id: 'field-3.2-1',
        claim: '3.2 A restart of Docker in mid-deploy (SIGKILL, SIGTERM, with and without live restore) fails no decky',
      },
      { id: 'field-3.2-2', claim: '3.2 The stack ends the shims of its own engine' },
      {
        id: 'field-3.2-3',
        claim:
          '3.2, 3.3 What ended from outside is told from what ended by itself (state × policy × exit code × words × start of the base)',
      },
      { id: 'field-3.3-1', claim: '3.3 The watch knows what an engine leaves behind' },
      { id: 'field-3.4-1', claim: '3.4 the agent looks before it says that the last good version is back' },
      { id: 'field-3.4-2', claim: '3.4 The way back is looked at before it is told' },
      {
        id: 'field-3.5-1',
        claim: "3.5 too little disk: a smaller stream, else NATS's own words; refusals are told as what they are",
      },
      {
        id: 'field-3.5-2',
        claim:
          '3.5 NATS that refuses (storage, JetStream, credentials, rights, another stream) makes `/readyz` 503 with its own words; doctor and the screen say the same',
      },
      { id: 'field-3.5-3', claim: '3.5 NATS that is away or hangs keeps `/readyz` 200, named in `checks`' },
      { id: 'field-3.5-4', claim: '3.5 a smaller stream is announced' },
      {
        id: 'field-3.5-5',
        claim: "3.5 the programs: not ready with the reason, the worker's log has it before the first event",
      },
      { id: 'field-3.5-6', claim: '3.5 why events are not sent is logged when it changes' },
      { id: 'field-3.5-7', claim: '3.5 credentials in NATS_URL count' },
      {
        id: 'field-3.6-1',
        claim: '3.6 a slow bus and a stream that was made anew lose a reader nothing without a word',
      },
      { id: 'field-3.7-1', claim: '3.7 Every activity failure is logged with its message' },
      { id: 'field-3.7-2', claim: "3.7 an agent's step and log carry the last error and the deadline" },
      {
        id: 'field-3.7-3',
        claim: '3.7 Row, workflow details and log say why something is retried, and until when (local)',
      },
      {
        id: 'field-3.8-1',
        claim:
          "3.8 A teardown at which the agent fails is `teardown_failed` with its words until the operator's next try",
      },
      { id: 'field-3.9-1', claim: '3.9 Deckies of a removed host are named, and move with the next additive deploy' },
      { id: 'field-3.10-1', claim: '3.10 orders in any order, repeated, late: the highest ticket decides what runs' },
      { id: 'field-3.10-2', claim: '3.10 the agent refuses a late order, also after a restart' },
      {
        id: 'field-3.10-3',
        claim: "3.10 every order carries its ticket; a restored database draws beyond the agent's",
      },
      {
        id: 'field-3.11-1',
        claim:
          '3.11 A returned host that carried out what was given up is put right by a row that says why; one that did not gets none',
      },
      { id: 'field-3.12-1', claim: '3.12 `tearing_down` with the acceptance' },
      { id: 'field-3.13-1', claim: '3.13 cancelled is one word; a failed background write surfaces' },
      { id: 'field-3.14-1', claim: '3.14 a full disk of a host passes' },
      { id: 'field-3.14-2', claim: '3.14 An age counts from the first look, whatever clocks say' },
      { id: 'field-3.14-3', claim: '3.14 A full disk is temporary' },
      { id: 'field-3.14-4', claim: '3.14 A paused container is called paused, with the way out' },
      { id: 'field-3.14-5', claim: "3.14 a clean-up that a full disk ended is done later, on the master's own engine" },
      { id: 'field-3.14-6', claim: '3.14 a paused container is called paused in drift, one that is cut off cut off' },
      { id: 'field-3.15-1', claim: '3.15 an idle day adds few executions' },
      { id: 'field-4-1', claim: '4 A blank value is none, `[custom-ssh]` and `[box.myapp]` as recorded' },
      { id: 'field-4-2', claim: '4 the role of a user' },
      { id: 'field-4-3', claim: "4 the figures that DECNET's landing page waits for" },
      { id: 'field-4-4', claim: "4 the wizard's catalogue" },
      { id: 'field-4-5', claim: '4 bundles over TLS, and tokens that outlast a restart' },
      { id: 'field-4-6', claim: '4 wrong passwords of others do not lock out the command' },
      { id: 'field-4-7', claim: '4 the host reaches its own deckies under macvlan' },
      {
        id: 'field-4-8',
        claim:
          "4 DECNET's own web page in a browser: login, landing page, archetypes and settings, deploy, mutate, teardown, hosts, users and roles",
        note: '`npm run test:wizard` runs it, and skips it without `DECNET_WEB`.',
      },
    ],
  },
];
