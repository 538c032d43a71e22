/**
 * What an answer was worth on patients whom the network had not seen, from the counts in the header of the weights.
 *
 * @typedef {import('../types.js').OperatingPoint} OperatingPoint
 * @typedef {NonNullable<import('../types.js').Report['finding']>} Finding
 *
 * @typedef {object} Counts
 * @property {number} bleeds Patients with this answer who had a bleed.
 * @property {number} clear Patients with this answer who had none.
 * @property {number} allBleeds Patients with a bleed, whatever the answer.
 * @property {number} allClear
 */

/**
 * @param {Finding} finding
 * @param {OperatingPoint} lower
 * @param {OperatingPoint} upper
 * @returns {Counts}
 */
export function counts(finding, lower, upper) {
  const [bleeds, clear] = {
    'bleeding likely': [upper.true_positives, upper.false_positives],
    uncertain: [lower.true_positives - upper.true_positives, lower.false_positives - upper.false_positives],
    'no bleeding seen': [lower.false_negatives, lower.true_negatives],
  }[finding];
  return { bleeds: bleeds ?? 0, clear: clear ?? 0, allBleeds: lower.true_positives + lower.false_negatives, allClear: lower.true_negatives + lower.false_positives };
}

/**
 * The 95 % interval of a share by Wilson (J. Am. Stat. Assoc. 1927, 22, 209), which holds for few patients too.
 *
 * @param {number} hits
 * @param {number} all Above 0.
 * @returns {[number, number]}
 */
export function wilson(hits, all) {
  const z = 1.96;
  const share = hits / all;
  const middle = share + (z * z) / (2 * all);
  const reach = z * Math.sqrt((share * (1 - share)) / all + (z * z) / (4 * all * all));
  const scale = 1 + (z * z) / all;
  return [Math.max(0, (middle - reach) / scale), Math.min(1, (middle + reach) / scale)];
}

/**
 * The share of bleeds among patients with this answer, where a share `prevalence` of all patients has one (Bayes).
 *
 * @param {Counts} counted
 * @param {number} prevalence
 */
export function shareAt({ bleeds, clear, allBleeds, allClear }, prevalence) {
  const withBleed = (prevalence * bleeds) / Math.max(1, allBleeds);
  const without = ((1 - prevalence) * clear) / Math.max(1, allClear);
  return withBleed + without > 0 ? withBleed / (withBleed + without) : 0;
}
