import { t } from '../i18n/i18n.js';

/**
 * What is being done with a scan, in words.
 *
 * @param {Pick<import('../types.js').Row, 'step'|'done'|'total'>} row
 */
export function stepOf({ step, done, total }) {
  const name = t(`step.${step || 'start'}`);
  return total > 1 ? `${name} ${done} / ${total}` : name;
}
