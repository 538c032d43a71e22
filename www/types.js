/**
 * Types that travel between the worker, the state and the rooms of the page. The report is that of `src/report.rs`.
 *
 * @typedef {{code: string, message: string}} Notice A warning or a refusal: a stable code and a sentence.
 *
 * @typedef {object} SliceReport
 * @property {number} position Index in the volume, 0 is the lowest slice.
 * @property {string} source File that the slice came from.
 * @property {number|null} probability
 * @property {[number, number]|null} peak In pixels of the source slice, as stored.
 *
 * @typedef {object} Report
 * @property {number} schema
 * @property {string} scan
 * @property {string[]} sources
 * @property {string|null} patient_hash Salted, so that only scans of one session can be compared.
 * @property {'classified'|'refused'} outcome
 * @property {number|null} probability
 * @property {'bleeding likely'|'uncertain'|'no bleeding seen'|null} finding
 * @property {SliceReport[]} slices
 * @property {Notice[]} warnings
 * @property {Notice|null} refusal
 * @property {{name: string, version: string, sha256: string}|null} model
 * @property {string|null} backend
 * @property {Record<string, number>} timing_ms
 *
 * @typedef {object} OperatingPoint
 * @property {number} threshold
 * @property {number} true_positives
 * @property {number} false_negatives
 * @property {number} true_negatives
 * @property {number} false_positives
 *
 * @typedef {object} Model What the header of the weights file says of itself.
 * @property {string} name
 * @property {string} version
 * @property {string} sha256
 * @property {number} parameters
 * @property {string} licence
 * @property {OperatingPoint|null} lower `null` where the weights were never calibrated: then they answer nothing.
 * @property {OperatingPoint|null} upper
 * @property {ModelHeader|null} header
 *
 * @typedef {{name: string, file: string, says: Record<string, string>, bytes: ArrayBuffer|null}} ShippedModel A line of
 *   `models/models.json`: what it is in each language, with its file, or `null` where that could not be fetched.
 *
 * @typedef {object} ModelChoice A model that can be chosen.
 * @property {string} key
 * @property {string} name
 * @property {string} file Name of its file.
 * @property {Record<string, string>} says What it is, in each language; nothing for a person's own file.
 * @property {boolean} own The person gave it.
 * @property {Model|null} card `null` where its file is missing or cannot be used.
 *
 * @typedef {object} View What the viewer needs to know of a volume.
 * @property {number} slices
 * @property {number} rows
 * @property {number} columns
 * @property {number|null} slice_mm
 * @property {number|null} row_mm
 * @property {number|null} column_mm
 * @property {{level: number, width: number}|null} window The window that 8-bit pictures were taken with.
 * @property {boolean} hounsfield The values are stored Hounsfield units, neither guessed from a window nor of an unknown scale.
 * @property {number} quarter_turns By how many the head is turned clockwise in the slices, 0 to 3; 0 until it was looked at.
 * @property {boolean} orientation_stated
 * @property {string} order_basis
 * @property {number[]} as_named
 * @property {boolean} can_change_order The order was decided by the images and can be undone.
 * @property {boolean} evidence There is a map of evidence to lay over the slices.
 * @property {([number, number]|null)[]} peaks For each slice, the place of most evidence in pixels of the volume.
 *
 * @typedef {object} FoundScan
 * @property {number} id
 * @property {string} name
 * @property {string} kind
 * @property {number} slices
 * @property {boolean} synthetic
 *
 * @typedef {object} Found What a drop holds.
 * @property {FoundScan[]} scans
 * @property {Report[]} refused What could not be opened, each with its report.
 * @property {Report[]} set_aside Files beside the scans that nobody needs to worry about, such as localisers.
 * @property {number} ignored Files that operating systems leave, such as `.DS_Store`.
 *
 * @typedef {{name: string, title: string, sentence: string}} Sample
 *
 * @typedef {object} ModelHeader What the page reads of the metadata of the weights file itself, for the model card.
 * @property {{name: string, patients: number, slices: number, licence: string}[]} data
 * @property {Record<string, number>} metrics
 * @property {string} patientScore How the slices' scores become the patient's, which is part of the name of its AUC.
 * @property {import('./about/layers.js').Architecture} [architecture]
 * @property {import('./about/layers.js').Sides} [inputShape] No slices: any number of them.
 *
 * @typedef {'waiting'|'working'|'classified'|'refused'|'cancelled'} Outcome
 *
 * @typedef {object} Row A line of the work list.
 * @property {string} key
 * @property {number|null} id Number of the scan in the worker; `null` for what could not even be opened.
 * @property {string} name
 * @property {string} kind
 * @property {number} slices
 * @property {boolean} synthetic
 * @property {Outcome} outcome
 * @property {string} step
 * @property {number} done
 * @property {number} total
 * @property {Report|null} report
 * @property {Notice|null} refusal
 * @property {string[]} sources
 * @property {View|null} view
 * @property {Thumbnail|null} thumbnail
 * @property {boolean} namedOrder The person asked for the order of the file names.
 *
 * @typedef {{width: number, height: number, grey: Uint8Array}} Thumbnail
 *
 * @typedef {{channels: number, rows: number, columns: number, values: Uint8Array}} LayerPicture What leaves a layer of the network on
 *   a slice: map after map, 0 for the least and 255 for the largest value of the layer.
 *
 * @typedef {object} Backend
 * @property {'cpu'|'webgpu'|null} name What computes now.
 * @property {boolean} settled No more files will be fetched for another backend.
 * @property {string} reason Why this one, in a sentence.
 * @property {Record<string, string|number|boolean>} details For the diagnostics.
 *
 * @typedef {object} Look What the viewer shows of the selected scan.
 * @property {number} z Slice of the volume, 0 is the lowest.
 * @property {number} x Column of the crosshair.
 * @property {number} y Row of the crosshair.
 * @property {boolean} cross The crosshair is drawn on the axial slice too.
 * @property {{level: number, width: number}} window
 * @property {boolean} net The axial slice is shown as the network was given it.
 * @property {boolean} heat
 * @property {number} opacity Of the evidence map, 0 to 1.
 * @property {boolean} split The plain slice beside the one with evidence.
 * @property {boolean} planes Coronal and sagittal are shown.
 * @property {number} zoom
 * @property {{x: number, y: number}} pan In CSS pixels.
 *
 * @typedef {'all'|'likely'|'uncertain'|'none'|'refused'|'open'} Filter `open`: not through yet, or cancelled.
 * @typedef {'added'|'name'|'probability'} Sort
 *
 * @typedef {object} State
 * @property {'loading'|'usable'|'ready'|'failed'} phase
 * @property {Notice|null} fault Why the page cannot work.
 * @property {Backend} backend
 * @property {Model|null} model
 * @property {Notice|null} modelFault
 * @property {ModelChoice[]} models Those that can be chosen, of which `model` is one.
 * @property {string} trying Name of the weights file that is being checked, or nothing.
 * @property {{file: string, notice: Notice}|null} notUsed The last file that was given as a model and is none.
 * @property {Row[]} rows
 * @property {string|null} selected
 * @property {number} opening Drops that are being looked at.
 * @property {Report[]} setAside Files of all drops that were left out, each with the reason.
 * @property {number} ignored Files that operating systems leave.
 * @property {string} search Scans whose name holds this are listed.
 * @property {Filter} filter
 * @property {Sort} sort
 * @property {Look} look
 * @property {string} language
 */
export {};
