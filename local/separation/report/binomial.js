// How sure a number of answers is.

/** Probabilities of 0 to n heads of n throws of a coin. */
function coin(n) {
  const logs = [-n * Math.LN2];
  for (let k = 1; k <= n; k++) logs.push(logs[k - 1] + Math.log((n - k + 1) / k));
  return logs.map(Math.exp);
}

/** Chance of `right` or more of `n` by guessing (one-sided binomial test). */
function guessed(right, n) {
  return Math.min(1, coin(n).slice(right).reduce((sum, p) => sum + p, 0));
}

/** Chance of a majority at least as large, for either side (two-sided binomial test). */
function preferred(second, n) {
  return Math.min(1, 2 * guessed(Math.max(second, n - second), n));
}
