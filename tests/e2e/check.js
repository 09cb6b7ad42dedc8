// Checks that run one after the other, each with its name; none is retried, none is skipped.
import assert from "node:assert/strict";

export { assert };
const results = { passed: 0, failed: 0 };

export async function check(name, run) {
  const began = performance.now();
  try {
    await run();
    results.passed += 1;
    console.log(`ok    ${name} (${Math.round(performance.now() - began)} ms)`);
  } catch (error) {
    results.failed += 1;
    console.log(`FAIL  ${name}\n${String(error.stack ?? error).replace(/^/gm, "      ")}`);
  }
}

export function summary() {
  console.log(`${results.passed} passed, ${results.failed} failed`);
  return results.failed === 0 && results.passed > 0;
}
