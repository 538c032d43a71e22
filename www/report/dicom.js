/**
 * DICOM objects of an answer, for research: key slices as Secondary Capture, and a Structured Report by template 1500.
 * Written as Part 10 files in Explicit VR Little Endian. They are in English, as the codes of the standard are.
 *
 * They say nothing about who the patient is, nor where the slices came from: neither name nor number, no file name, no date
 * but that of the export, a study of their own. What a person types in as the patient's number is the one exception; without
 * it the salted hash of the report stands there, so that an archive keeps patients apart.
 *
 * @typedef {string|number[]|Uint8Array|DataSet[]} Value Text, whole numbers of 16 bits, bytes, or items.
 * @typedef {[tag: number, vr: string, value: Value]} Element
 * @typedef {Element[]} DataSet In any order.
 *
 * @typedef {object} Capture A key slice as a picture, with its words burned in.
 * @property {number} position Index in the volume.
 * @property {number} columns
 * @property {number} rows
 * @property {Uint8Array} rgb
 *
 * @typedef {object} Subject
 * @property {import('../types.js').Report} report An answer, with finding and probability.
 * @property {number} slices Of the volume.
 * @property {boolean} synthetic
 * @property {import('../types.js').Model|null} model
 * @property {string} patientId Empty, unless the person typed one in.
 * @property {Date} made
 */

const EXPLICIT_LITTLE_ENDIAN = '1.2.840.10008.1.2.1';
const SECONDARY_CAPTURE = '1.2.840.10008.5.1.4.1.1.7';
const COMPREHENSIVE_SR = '1.2.840.10008.5.1.4.1.1.88.33';
/** Drawn once, for all files that this code writes. */
const IMPLEMENTATION = '2.25.245521169343841302812732611862423508502';
/** Words that no object goes without. */
export const RESEARCH_ONLY = 'Research only, not for diagnosis';
/** Designates the codes that the standard has none for. */
const SCHEME = '99ICTUS';
/** Their lengths take four bytes, after two that are reserved. */
const LONG = new Set(['OB', 'OW', 'SQ', 'UT']);
const PREAMBLE_BYTES = 128;

/**
 * A new unique identifier: a random UUID as a number under 2.25. `crypto.randomUUID` is missing where a page comes over plain
 * http, its random bytes are not.
 */
export function newUid() {
  return uidOf(Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join(''), 4);
}

/**
 * @param {string} hex Digits that become a UUID.
 * @param {4|8} version 4 of random digits, 8 of others.
 */
function uidOf(hex, version) {
  return `2.25.${BigInt(`0x${hex.slice(0, 12)}${version}${hex.slice(13, 16)}8${hex.slice(17, 32)}`)}`;
}

/**
 * Text of one value that a DICOM reader takes: backslashes part values, and control characters are none of it.
 *
 * @param {string} text
 * @param {number} [length] Most characters; 64 for a long string.
 */
export function plain(text, length = 64) {
  return [...text.replace(/[\\\p{Cc}]+/gu, ' ').trim()].slice(0, length).join('').trim();
}

// ---------------------------------------------------------------- encoding

/** @param {Uint8Array[]} parts */
function joined(parts) {
  const whole = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/**
 * @param {string} vr
 * @param {Value} value
 * @returns {Uint8Array} Of even length.
 */
function bytesOf(vr, value) {
  if (value instanceof Uint8Array) return value.length % 2 === 0 ? value : joined([value, new Uint8Array(1)]);
  if (typeof value !== 'string') {
    if (vr === 'SQ') return joined(/** @type {DataSet[]} */ (value).flatMap((item) => [...itemOf(item)]));
    const bytes = new DataView(new ArrayBuffer(2 * value.length));
    /** @type {number[]} */ (value).forEach((number, place) => bytes.setUint16(2 * place, number, true));
    return new Uint8Array(bytes.buffer);
  }
  const text = new TextEncoder().encode(value);
  return text.length % 2 === 0 ? text : joined([text, Uint8Array.of(vr === 'UI' ? 0 : 0x20)]);
}

/** @param {DataSet} item */
function itemOf(item) {
  const body = encoded(item);
  const head = new DataView(new ArrayBuffer(8));
  head.setUint16(0, 0xfffe, true);
  head.setUint16(2, 0xe000, true);
  head.setUint32(4, body.length, true);
  return [new Uint8Array(head.buffer), body];
}

/** @param {DataSet} dataSet */
function encoded(dataSet) {
  const elements = [...dataSet].sort(([a], [b]) => a - b);
  return joined(elements.flatMap(([tag, vr, value]) => {
    const body = bytesOf(vr, value);
    const head = new DataView(new ArrayBuffer(LONG.has(vr) ? 12 : 8));
    head.setUint16(0, tag >>> 16, true);
    head.setUint16(2, tag & 0xffff, true);
    head.setUint8(4, vr.charCodeAt(0));
    head.setUint8(5, vr.charCodeAt(1));
    if (LONG.has(vr)) head.setUint32(8, body.length, true);
    else head.setUint16(6, body.length, true);
    return [new Uint8Array(head.buffer), body];
  }));
}

/**
 * @param {string} classUid
 * @param {string} instance
 * @param {DataSet} dataSet
 * @returns {Uint8Array} A whole file.
 */
function file(classUid, instance, dataSet) {
  const meta = encoded([
    [0x00020001, 'OB', Uint8Array.of(0, 1)],
    [0x00020002, 'UI', classUid],
    [0x00020003, 'UI', instance],
    [0x00020010, 'UI', EXPLICIT_LITTLE_ENDIAN],
    [0x00020012, 'UI', IMPLEMENTATION],
    [0x00020013, 'SH', 'ICTUS'],
  ]);
  // (0002,0000) UL, the length of the group.
  const length = new Uint8Array([2, 0, 0, 0, 0x55, 0x4c, 4, 0, 0, 0, 0, 0]);
  new DataView(length.buffer).setUint32(8, meta.length, true);
  const body = encoded([[0x00080016, 'UI', classUid], [0x00080018, 'UI', instance], ...dataSet]);
  return joined([new Uint8Array(PREAMBLE_BYTES), new TextEncoder().encode('DICM'), length, meta, body]);
}

// ---------------------------------------------------------------- objects

/** @param {Date} date */
function dayAndTime(date) {
  const two = (/** @type {number} */ number) => String(number).padStart(2, '0');
  return {
    day: `${date.getFullYear()}${two(date.getMonth() + 1)}${two(date.getDate())}`,
    time: `${two(date.getHours())}${two(date.getMinutes())}${two(date.getSeconds())}`,
  };
}

/** @typedef {{study: string, images: string, report: string}} Uids Of the study and its two series. */

/**
 * What all objects share: patient, study, series and maker.
 *
 * @param {Subject} subject
 * @param {string} study
 * @param {{uid: string, number: number, modality: string, description: string}} series
 * @returns {DataSet}
 */
function shared({ report, synthetic, patientId, made }, study, series) {
  const { day, time } = dayAndTime(made);
  const { name = '', version = '' } = report.model ?? {};
  const typed = plain(patientId);
  const hash = typed ? '' : (report.patient_hash ?? '');
  /** @type {DataSet} */
  const pseudonym = hash ? [[0x00120062, 'CS', 'YES'], [0x00120063, 'LO', 'Patient ID is a salted SHA-256, salt not kept']] : [];
  return [
    ...pseudonym,
    [0x00080005, 'CS', 'ISO_IR 192'],
    [0x00080012, 'DA', day],
    [0x00080013, 'TM', time],
    [0x00080020, 'DA', ''],
    [0x00080023, 'DA', day],
    [0x00080030, 'TM', ''],
    [0x00080033, 'TM', time],
    [0x00080050, 'SH', ''],
    [0x00080060, 'CS', series.modality],
    [0x00080070, 'LO', 'ictus'],
    [0x00080090, 'PN', ''],
    [0x00081030, 'LO', `ictus: ${RESEARCH_ONLY.toLowerCase()}${synthetic ? ', synthetic' : ''}`],
    [0x0008103e, 'LO', series.description],
    [0x00081090, 'LO', plain(`ictus ${name}`)],
    [0x00100010, 'PN', ''],
    [0x00100020, 'LO', typed || hash],
    [0x00100030, 'DA', ''],
    [0x00100040, 'CS', ''],
    [0x00181020, 'LO', plain(version)],
    [0x0020000d, 'UI', study],
    [0x0020000e, 'UI', series.uid],
    [0x00200010, 'SH', ''],
    [0x00200011, 'IS', String(series.number)],
  ];
}

/**
 * @param {Capture} capture
 * @param {number} number
 * @param {boolean} oriented The files stated where left and back are, and the head lies straight.
 * @param {Date} made
 * @returns {DataSet}
 */
function picture({ position, columns, rows, rgb }, number, oriented, made) {
  const { day, time } = dayAndTime(made);
  return [
    [0x00080008, 'CS', 'DERIVED\\SECONDARY'],
    [0x00080064, 'CS', 'WSD'],
    [0x00082111, 'ST', `Slice ${position + 1} of a head CT in the brain window, plain and with the map of evidence for bleeding. ${RESEARCH_ONLY}.`],
    [0x00180015, 'CS', 'HEAD'],
    [0x00181012, 'DA', day],
    [0x00181014, 'TM', time],
    [0x00200013, 'IS', String(number)],
    [0x00200020, 'CS', oriented ? 'L\\P' : ''],
    [0x00204000, 'LT', `${RESEARCH_ONLY}. Not to be measured: the picture was scaled.`],
    [0x00280002, 'US', [3]],
    [0x00280004, 'CS', 'RGB'],
    [0x00280006, 'US', [0]],
    [0x00280010, 'US', [rows]],
    [0x00280011, 'US', [columns]],
    [0x00280100, 'US', [8]],
    [0x00280101, 'US', [8]],
    [0x00280102, 'US', [7]],
    [0x00280103, 'US', [0]],
    // Our words name nobody, but nobody has looked whether the slices carry others.
    [0x00280301, 'CS', 'YES'],
    [0x7fe00010, 'OB', rgb],
  ];
}

// ---------------------------------------------------------------- content of the report

/**
 * @param {string} value
 * @param {string} scheme
 * @param {string} meaning
 * @returns {DataSet}
 */
const code = (value, scheme, meaning) => [[0x00080100, 'SH', value], [0x00080102, 'SH', scheme], [0x00080104, 'LO', meaning]];

/**
 * @param {string} relation
 * @param {string} type
 * @param {DataSet} concept
 * @param {DataSet} value
 * @param {DataSet[]} [content]
 * @returns {DataSet}
 */
const item = (relation, type, concept, value, content = []) => [
  [0x0040a010, 'CS', relation], [0x0040a040, 'CS', type], [0x0040a043, 'SQ', [concept]], ...value, ...(content.length > 0 ? [/** @type {Element} */ ([0x0040a730, 'SQ', content])] : []),
];

/** @type {(relation: string, concept: DataSet, text: string) => DataSet} */
const textItem = (relation, concept, text) => item(relation, 'TEXT', concept, [[0x0040a160, 'UT', text]]);
/** @type {(relation: string, concept: DataSet, value: DataSet) => DataSet} */
const codeItem = (relation, concept, value) => item(relation, 'CODE', concept, [[0x0040a168, 'SQ', [value]]]);
/** @type {(relation: string, concept: DataSet, uid: string) => DataSet} */
const uidItem = (relation, concept, uid) => item(relation, 'UIDREF', concept, [[0x0040a124, 'UI', uid]]);
/** @type {(concept: DataSet, content: DataSet[]) => DataSet} */
const container = (concept, content) => item('CONTAINS', 'CONTAINER', concept, [[0x0040a050, 'CS', 'SEPARATE']], content);

/** @type {(instance: string) => DataSet} */
const reference = (instance) => [[0x00081150, 'UI', SECONDARY_CAPTURE], [0x00081155, 'UI', instance]];

/** @type {Record<NonNullable<import('../types.js').Report['finding']>, DataSet>} */
const FINDINGS = {
  'bleeding likely': code('LIKELY', SCHEME, 'Intracranial bleeding likely'),
  uncertain: code('UNCERTAIN', SCHEME, 'Uncertain whether there is intracranial bleeding'),
  'no bleeding seen': code('NONE_SEEN', SCHEME, 'No intracranial bleeding seen'),
};
const FINDING = code('121071', 'DCM', 'Finding');
const COMMENT = code('121106', 'DCM', 'Comment');

/**
 * @param {string} name
 * @param {DataSet[]} content
 */
const group = (name, content) => container(code('125007', 'DCM', 'Measurement Group'), [
  textItem('HAS OBS CONTEXT', code('112039', 'DCM', 'Tracking Identifier'), name),
  uidItem('HAS OBS CONTEXT', code('112040', 'DCM', 'Tracking Unique Identifier'), newUid()),
  ...content,
]);

/**
 * A calibrated probability, with the algorithm it is of and the picture it was read from.
 *
 * @param {Subject} subject
 * @param {DataSet} concept
 * @param {number} probability
 * @param {string} [image]
 */
function measured({ report }, concept, probability, image) {
  return item('CONTAINS', 'NUM', concept, [[0x0040a300, 'SQ', [[
    [0x0040a30a, 'DS', String(Number((100 * probability).toPrecision(4)))],
    [0x004008ea, 'SQ', [code('%', 'UCUM', 'Percent')]],
  ]]]], [
    textItem('HAS CONCEPT MOD', code('111001', 'DCM', 'Algorithm Name'), plain(`ictus ${report.model?.name ?? ''}`)),
    textItem('HAS CONCEPT MOD', code('111003', 'DCM', 'Algorithm Version'), plain(report.model?.version ?? '') || 'not stated'),
    ...(image ? [item('INFERRED FROM', 'IMAGE', code('121112', 'DCM', 'Source of Measurement'), [[0x00081199, 'SQ', [reference(image)]]])] : []),
  ]);
}

/** @param {Subject} subject */
function comments({ report, slices, synthetic, model }) {
  const percent = (/** @type {number} */ share) => `${Math.round(100 * share)} %`;
  return [
    `${RESEARCH_ONLY}. Nobody has verified this report. The network misses bleeds and calls bleeds that are not there.`,
    synthetic && 'The scan is synthetic: it was drawn by a program and shows no person.',
    model?.lower && model.upper && `Operating points: below ${percent(model.lower.threshold)} "no bleeding seen", from ${percent(model.upper.threshold)} on "bleeding likely".`,
    `${slices} slices, of which ${report.slices.filter(({ probability }) => probability !== null).length} were looked at. Slice 1 is the lowest.`,
    // Codes and not sentences, which may name files.
    report.warnings.length > 0 && `Warnings: ${report.warnings.map((warning) => warning.code).join(', ')}.`,
    report.model && `Weights: SHA-256 ${report.model.sha256}. Computed by ${report.backend ?? 'an unknown backend'} in a browser.`,
  ].filter((text) => typeof text === 'string');
}

/**
 * @param {Subject} subject
 * @param {{capture: Capture, instance: string}[]} images
 * @param {Uids} uids
 * @returns {DataSet}
 */
function reportOf(subject, images, { study, images: imageSeries }) {
  const { report } = subject;
  const finding = codeItem('CONTAINS', FINDING, FINDINGS[report.finding ?? 'uncertain']);
  const ofScan = code('P_BLEED', SCHEME, 'Calibrated probability of intracranial bleeding');
  const ofSlice = code('P_BLEED_SLICE', SCHEME, 'Calibrated probability of bleeding on the slice');
  /** @type {DataSet[]} */
  const content = [
    codeItem('HAS CONCEPT MOD', code('121049', 'DCM', 'Language of Content Item and Descendants'), code('en', 'RFC5646', 'English')),
    codeItem('HAS OBS CONTEXT', code('121005', 'DCM', 'Observer Type'), code('121007', 'DCM', 'Device')),
    uidItem('HAS OBS CONTEXT', code('121012', 'DCM', 'Device Observer UID'), uidOf(report.model?.sha256 ?? '0'.repeat(32), 8)),
    textItem('HAS OBS CONTEXT', code('121013', 'DCM', 'Device Observer Name'), 'ictus'),
    textItem('HAS OBS CONTEXT', code('121015', 'DCM', 'Device Observer Model Name'), plain(`${report.model?.name ?? ''} ${report.model?.version ?? ''}`) || 'not stated'),
    codeItem('HAS CONCEPT MOD', code('121058', 'DCM', 'Procedure reported'), code('303653007', 'SCT', 'CT of head')),
    container(code('126010', 'DCM', 'Imaging Measurements'), [
      group('Whole scan', [finding, measured(subject, ofScan, report.probability ?? 0)]),
      ...images.map(({ capture: { position }, instance }) => group(`Slice ${position + 1}`, [measured(subject, ofSlice, report.slices[position]?.probability ?? 0, instance)])),
    ]),
    container(code('C0034375', 'UMLS', 'Qualitative Evaluations'), [finding, ...comments(subject).map((text) => textItem('CONTAINS', COMMENT, text))]),
  ];
  return [
    [0x00080110, 'SQ', [[[0x00080102, 'SH', SCHEME], [0x00080115, 'ST', 'Codes of ictus'], [0x00080116, 'ST', 'ictus']]]],
    [0x00081111, 'SQ', []],
    [0x00200013, 'IS', '1'],
    [0x0040a040, 'CS', 'CONTAINER'],
    [0x0040a043, 'SQ', [code('126000', 'DCM', 'Imaging Measurement Report')]],
    [0x0040a050, 'CS', 'SEPARATE'],
    [0x0040a372, 'SQ', []],
    ...(images.length > 0 ? [/** @type {Element} */ ([0x0040a375, 'SQ', [[
      [0x00081115, 'SQ', [[[0x00081199, 'SQ', images.map(({ instance }) => reference(instance))], [0x0020000e, 'UI', imageSeries]]]],
      [0x0020000d, 'UI', study],
    ]]])] : []),
    [0x0040a491, 'CS', 'PARTIAL'],
    [0x0040a493, 'CS', 'UNVERIFIED'],
    [0x0040a496, 'CS', 'PRELIMINARY'],
    [0x0040a504, 'SQ', [[[0x00080105, 'CS', 'DCMR'], [0x0040db00, 'CS', '1500']]]],
    [0x0040a730, 'SQ', content],
  ];
}

/**
 * @param {Subject} subject
 * @param {Capture[]} captures
 * @param {boolean} oriented The captures show the patient's left on the right and the back below, as the files state.
 * @returns {{name: string, bytes: Uint8Array}[]} The captures and, last, the report.
 */
export function dicomFiles(subject, captures, oriented) {
  const uids = { study: newUid(), images: newUid(), report: newUid() };
  const images = captures.map((capture) => ({ capture, instance: newUid() }));
  const series = { uid: uids.images, number: 1, modality: 'OT', description: `Key slices: ${RESEARCH_ONLY.toLowerCase()}` };
  const report = { uid: uids.report, number: 2, modality: 'SR', description: `Report: ${RESEARCH_ONLY.toLowerCase()}` };
  const instance = newUid();
  return [
    ...images.map(({ capture, instance: of }, place) => ({
      name: `slice-${String(capture.position + 1).padStart(3, '0')}.dcm`,
      bytes: file(SECONDARY_CAPTURE, of, [...shared(subject, uids.study, series), ...picture(capture, place + 1, oriented, subject.made)]),
    })),
    { name: 'report.dcm', bytes: file(COMPREHENSIVE_SR, instance, [...shared(subject, uids.study, report), ...reportOf(subject, images, uids)]) },
  ];
}
