//! The engine of the page: scans in, reports and slices out.

use super::fault::Fault;
use super::files::input_files;
use super::parts::{LogitParts, network_input};
use super::remote;
use super::shelf::Shelf;
use super::view::{LayerPicture, Thumbnail, View, slice_heat, slice_hounsfield};
use crate::assess::{OperatingPoint, shown_on};
use crate::ingest::{InputFile, RefusedScan, Salt, Scan, ScanKind, ScanPlan, discover};
use crate::network::{Logits, Model, NetworkError};
use crate::phantom::{self, PhantomConfig};
use crate::preprocess::NetworkInput;
use crate::report::{Refusal, ScanReport};
use crate::screen::{Step, Watch, read, refused_report, screen_with};
use burn::tensor::Device;
use js_sys::{Array, Function, Promise};
use serde::Serialize;
use std::cell::RefCell;
use std::ops::ControlFlow;
use std::rc::Rc;
use std::sync::Arc;
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;

/// Largest difference in the self-test for which an engine is trusted; `www/app.js` says it to the person.
const SELF_TEST_TOLERANCE: f32 = 1e-4;

/// Holds the scans and the network. Results are JSON as `www/types.js` names it.
///
/// Calls may overlap: while one waits for the GPU or for a pause, others are answered. So nothing borrows the shelf
/// across an `await`.
#[wasm_bindgen]
pub struct Engine {
    salt: Salt,
    shelf: RefCell<Shelf>,
    model: RefCell<Option<Rc<Model>>>,
}

/// What the header of the weights file says, for the page.
#[derive(Serialize)]
struct ModelCard<'a> {
    name: &'a str,
    version: &'a str,
    sha256: &'a str,
    parameters: usize,
    licence: &'a str,
    /// None for weights that were never calibrated: they answer nothing.
    lower: Option<OperatingPoint>,
    upper: Option<OperatingPoint>,
}

#[derive(Serialize)]
struct FoundScan<'a> {
    id: usize,
    name: &'a str,
    kind: ScanKind,
    slices: usize,
    synthetic: bool,
}

#[derive(Serialize)]
struct Found<'a> {
    scans: Vec<FoundScan<'a>>,
    refused: Vec<ScanReport>,
    set_aside: Vec<ScanReport>,
    ignored: usize,
}

#[derive(Serialize)]
struct Answered<'a> {
    report: &'a ScanReport,
    view: Option<View>,
}

#[wasm_bindgen]
impl Engine {
    /// An engine without scans and without a network. `salt` are random bytes, 16 or more, that patients are hashed with; they stay
    /// in memory.
    ///
    /// # Errors
    /// A [`Fault`] if there are too few of them.
    #[wasm_bindgen(constructor)]
    pub fn new(salt: &[u8]) -> Result<Self, Fault> {
        let salt = Salt::new(salt).map_err(|error| Fault::new("salt", error))?;
        Ok(Self { salt, shelf: RefCell::default(), model: RefCell::default() })
    }

    /// Loads a weights file and returns its card.
    ///
    /// # Errors
    /// A [`Fault`] that says what is wrong with the file.
    pub fn load_model(&self, weights: &[u8]) -> Result<String, Fault> {
        let model = Model::from_bytes(weights, &Device::flex()).map_err(|error| unusable(&error))?;
        let header = model.header();
        let [slices, rows, columns] = header.input_shape;
        let layers = header.architecture.layers([slices.max(1), rows, columns]).map_err(|error| unusable(&error))?;
        let calibration = header.calibration.as_ref();
        let card = ModelCard {
            name: &header.name,
            version: &header.version,
            sha256: model.sha256(),
            parameters: layers.iter().map(|layer| layer.parameters).sum(),
            licence: &header.licence,
            lower: calibration.map(|calibration| calibration.lower),
            upper: calibration.map(|calibration| calibration.upper),
        };
        let card = serde_json::to_string(&card)?;
        self.model.replace(Some(Rc::new(model)));
        Ok(card)
    }

    /// Largest difference from the logits that the trainer's CPU computed for the golden input of the weights file. An
    /// engine that differs by more than 1e-4 lets go of the weights, so that it can answer nothing.
    ///
    /// # Errors
    /// A [`Fault`] if no weights are loaded or the network cannot run.
    pub async fn self_test(&self) -> Result<f32, Fault> {
        let model = self.model()?;
        let difference = model.self_test().await.map_err(|error| Fault::new("network_failed", error));
        // Written so that NaN fails too.
        if !difference.as_ref().is_ok_and(|difference| *difference <= SELF_TEST_TOLERANCE) {
            self.model.replace(None);
        }
        difference
    }

    /// Runs the network alone on the `hounsfield`, `mask` and `shape` of a [`NetworkInput`], to compare it with others.
    ///
    /// # Errors
    /// A [`Fault`] if no weights are loaded, the parts do not fit, or the network cannot run.
    pub async fn infer(&self, hounsfield: Vec<f32>, mask: Vec<u8>, shape: Vec<u32>) -> Result<LogitParts, Fault> {
        let model = self.model()?;
        let input = network_input(hounsfield, mask, shape)?;
        let logits = model.infer(&input).await.map_err(|error| Fault::new("network_failed", error))?;
        Ok(logits.into())
    }

    /// Titles and sentences of the scans that this page can draw.
    ///
    /// # Errors
    /// None but a failing allocation; the type is that of all calls.
    pub fn samples(&self) -> Result<String, Fault> {
        Ok(serde_json::to_string(&phantom::samples())?)
    }

    /// A small picture of a sample, drawn coarsely: it is shown before anybody asks for the scan.
    ///
    /// # Errors
    /// A [`Fault`] if there is no such sample.
    pub fn sample_thumbnail(&self, index: usize) -> Result<Thumbnail, Fault> {
        let sample = sample(index)?;
        let coarse =
            PhantomConfig { slices: 15, rows: 128, columns: 128, slice_mm: 10.0, pixel_mm: 1.8, ..sample.config };
        let drawn = phantom::draw(&coarse).map_err(|error| Fault::new("sample", error))?;
        let z = drawn.volume.slices() / 2;
        Thumbnail::of(&drawn.volume, z).ok_or_else(|| Fault::new("unknown_sample", "The sample has no slices."))
    }

    /// Lets go of slices from here on when those of all scans together have more bytes than this.
    pub fn hold_at_most(&self, bytes: usize) {
        self.shelf.borrow_mut().hold_at_most(bytes);
    }

    /// Gives the next scan this number, and those after it the following ones.
    pub fn number_from(&self, first: usize) {
        self.shelf.borrow_mut().number_from(first);
    }

    /// Looks at dropped files, and says which scans they hold. `paths` are relative to the drop, one a file.
    ///
    /// # Errors
    /// A [`Fault`] if the browser lets this worker read no files.
    pub fn add_files(&self, paths: Vec<String>, files: &Array) -> Result<String, Fault> {
        let files = input_files(paths, files)
            .map_err(|_| Fault::new("no_file_access", "This browser does not let a worker read files."))?;
        self.add(files, false)
    }

    /// Draws a sample and opens it the way a dropped scan is opened: as the bytes of its DICOM files.
    ///
    /// # Errors
    /// A [`Fault`] if there is no such sample or it cannot be written.
    pub fn add_sample(&self, index: usize) -> Result<String, Fault> {
        let sample = sample(index)?;
        let drawn = phantom::draw(&sample.config).map_err(|error| Fault::new("sample", error))?;
        let files = phantom::write::dicom(&drawn).map_err(|error| Fault::new("sample", error))?;
        let input = |(path, bytes): (String, Vec<u8>)| InputFile { path, source: Arc::new(bytes) };
        self.add(files.into_iter().map(input).collect(), true)
    }

    /// Reads a scan and answers it.
    ///
    /// `progress(step, done, total)` returns whether to cancel; `pause()` returns a promise that lets messages in;
    /// `remote(hounsfield, mask, shape)`, where given, runs the network elsewhere, and its failure is answered here.
    ///
    /// # Errors
    /// A [`Fault`] `cancelled`, or of a call that makes no sense. A scan that cannot be answered is a report.
    pub async fn screen(
        &self,
        id: usize,
        progress: Function,
        pause: Function,
        remote: Option<Function>,
    ) -> Result<String, Fault> {
        let (plan, named_order) = {
            let mut shelf = self.shelf.borrow_mut();
            let entry = shelf.get_mut(id)?;
            (entry.evidence, entry.report) = (None, None);
            (Rc::clone(&entry.plan), entry.named_order)
        };
        let mut listener = |step| told(&progress, step);
        let mut watch = Watch::new(&now_ms, &mut listener);
        let scan = match read(&plan, &mut watch).map_err(|_| Fault::cancelled())? {
            Ok(scan) => Rc::new(if named_order { scan.unrepaired() } else { scan }),
            Err(report) => return self.answered(id, *report),
        };
        self.shelf.borrow_mut().keep(id, Rc::clone(&scan));
        breathe(&pause).await;
        let Ok(model) = self.model() else { return self.answered(id, unanswered(&plan)) };
        let look = async |input: &NetworkInput| -> Result<(Logits, String), NetworkError> {
            if let Some(remote) = &remote
                && let Some(logits) = remote::infer(remote, input).await
            {
                return Ok((logits, "webgpu".to_owned()));
            }
            breathe(&pause).await;
            Ok((model.infer(input).await?, "cpu".to_owned()))
        };
        let screened = screen_with(&scan, &model, look, &mut watch).await.map_err(|_| Fault::cancelled())?;
        if let Ok(entry) = self.shelf.borrow_mut().get_mut(id) {
            entry.evidence = screened.evidence.map(Rc::new);
        }
        self.answered(id, screened.report)
    }

    /// Makes the next [`Engine::screen`] take the slices in the order before the repair, or repair it again.
    ///
    /// # Errors
    /// A [`Fault`] if there is no such scan.
    pub fn use_named_order(&self, id: usize, named: bool) -> Result<(), Fault> {
        let mut shelf = self.shelf.borrow_mut();
        let entry = shelf.get_mut(id)?;
        entry.named_order = named;
        entry.scan = None;
        Ok(())
    }

    /// Makes sure that the slices of a scan are in memory, and returns its view.
    ///
    /// # Errors
    /// A [`Fault`] if the scan is not there any more or its files cannot be read again.
    pub fn open(&self, id: usize, progress: &Function) -> Result<String, Fault> {
        let scan = self.slices_of(id, progress)?;
        Ok(serde_json::to_string(&View::new(self.shelf.borrow().get(id)?, &scan))?)
    }

    /// Slice `z` in whole Hounsfield units, row after row.
    ///
    /// # Errors
    /// A [`Fault`] if there is no such scan or slice, or its slices were let go: [`Engine::open`] reads them again.
    pub fn slice(&self, id: usize, z: usize) -> Result<Vec<i16>, Fault> {
        let scan = self.held(id)?;
        slice_hounsfield(&scan.volume, z).ok_or_else(|| Fault::new("unknown_slice", format!("There is no slice {z}.")))
    }

    /// The evidence map of slice `z` on its pixels, 0 to 255; nothing where the network did not look.
    ///
    /// # Errors
    /// A [`Fault`] as for [`Engine::slice`].
    pub fn heat(&self, id: usize, z: usize) -> Result<Option<Vec<u8>>, Fault> {
        let scan = self.held(id)?;
        Ok(slice_heat(self.shelf.borrow().get(id)?, &scan.volume, z))
    }

    /// What leaves each layer of the network on slice `z`, the head last, computed again here with the weights that are
    /// loaded now; nothing where the network did not look.
    ///
    /// # Errors
    /// A [`Fault`] if there is no such scan, or the network fails.
    pub async fn layers(&self, id: usize, z: usize) -> Result<Vec<LayerPicture>, Fault> {
        let seen = self.shelf.borrow().get(id)?.evidence.clone();
        let Some((seen, at)) =
            seen.and_then(|seen| shown_on(&seen.input, &seen.logits, z).map(|at| (Rc::clone(&seen), at)))
        else {
            return Ok(Vec::new());
        };
        let maps = self.model()?.layer_maps(&seen.input, at).await;
        let maps = maps.map_err(|error| Fault::new("network_failed", error))?;
        Ok(maps.into_iter().map(LayerPicture::from).collect())
    }

    /// A small picture of the middle of a scan.
    ///
    /// # Errors
    /// A [`Fault`] as for [`Engine::slice`].
    pub fn thumbnail(&self, id: usize) -> Result<Thumbnail, Fault> {
        let scan = self.held(id)?;
        let kept = self.shelf.borrow().get(id)?.evidence.as_ref().map(|seen| seen.input.slices.clone());
        let middle = kept.map_or(scan.volume.slices() / 2, |kept| usize::midpoint(kept.start, kept.end));
        Thumbnail::of(&scan.volume, middle).ok_or_else(|| Fault::unknown_scan(id))
    }

    /// Forgets a scan.
    pub fn remove(&self, id: usize) {
        self.shelf.borrow_mut().remove(id);
    }

    /// Versions and sizes for a report of a problem; nothing that names a person or a file.
    ///
    /// # Errors
    /// None but a failing allocation; the type is that of all calls.
    pub fn diagnostics(&self) -> Result<String, Fault> {
        let shelf = self.shelf.borrow();
        let facts = serde_json::json!({
            "version": env!("CARGO_PKG_VERSION"),
            "simd": cfg!(target_feature = "simd128"),
            "scans": shelf.len(),
            "slices_held_bytes": shelf.held_bytes(),
            "memory_bytes": wasm_bindgen::memory().dyn_into::<js_sys::WebAssembly::Memory>().ok()
                .and_then(|memory| memory.buffer().dyn_into::<js_sys::ArrayBuffer>().ok())
                .map(|buffer| buffer.byte_length()),
        });
        Ok(facts.to_string())
    }
}

impl Engine {
    fn model(&self) -> Result<Rc<Model>, Fault> {
        let model = self.model.borrow().clone();
        model.ok_or_else(|| {
            Fault::new("no_weights", "The weights of the network are not loaded, so no scan can be answered.")
        })
    }

    fn add(&self, files: Vec<InputFile>, synthetic: bool) -> Result<String, Fault> {
        let found = discover(files);
        let mut shelf = self.shelf.borrow_mut();
        let ids: Vec<usize> = found.scans.into_iter().map(|plan| shelf.add(plan, synthetic)).collect();
        let scans = ids
            .iter()
            .filter_map(|&id| Some((id, shelf.get(id).ok()?)))
            .map(|(id, entry)| FoundScan {
                id,
                name: entry.plan.name(),
                kind: entry.plan.kind(),
                slices: entry.plan.slices(),
                synthetic: entry.synthetic,
            })
            .collect();
        let reports = |refused: &[_]| refused.iter().map(refused_report).collect();
        let found = Found {
            scans,
            refused: reports(&found.refused),
            set_aside: reports(&found.set_aside),
            ignored: found.ignored,
        };
        Ok(serde_json::to_string(&found)?)
    }

    /// The slices of a scan as they are held now.
    fn held(&self, id: usize) -> Result<Rc<Scan>, Fault> {
        let mut shelf = self.shelf.borrow_mut();
        shelf.touch(id);
        let scan = shelf.get(id)?.scan.clone();
        scan.ok_or_else(|| Fault::new("slices_let_go", "The slices of this scan were let go to make room."))
    }

    fn slices_of(&self, id: usize, progress: &Function) -> Result<Rc<Scan>, Fault> {
        if let Ok(scan) = self.held(id) {
            return Ok(scan);
        }
        let (plan, named_order) = {
            let shelf = self.shelf.borrow();
            let entry = shelf.get(id)?;
            (Rc::clone(&entry.plan), entry.named_order)
        };
        let mut listener = |step| told(progress, step);
        let mut watch = Watch::new(&now_ms, &mut listener);
        match read(&plan, &mut watch).map_err(|_| Fault::cancelled())? {
            Ok(scan) => {
                let scan = Rc::new(if named_order { scan.unrepaired() } else { scan });
                self.shelf.borrow_mut().keep(id, Rc::clone(&scan));
                Ok(scan)
            }
            Err(report) => Err(report.refusal.map_or_else(|| Fault::unknown_scan(id), Fault::from)),
        }
    }

    /// Keeps the report of a scan and gives it out with the view of what could be read.
    fn answered(&self, id: usize, mut report: ScanReport) -> Result<String, Fault> {
        let mut shelf = self.shelf.borrow_mut();
        let entry = shelf.get_mut(id)?;
        report.patient_hash = entry.plan.patient().map(|patient| patient.hash(&self.salt));
        let view = entry.scan.as_deref().map(|scan| View::new(entry, scan));
        let answer = serde_json::to_string(&Answered { report: &report, view })?;
        entry.report = Some(report);
        Ok(answer)
    }
}

fn unusable(error: &dyn std::fmt::Display) -> Fault {
    let message = format!("The network cannot be used, so slices can be viewed but not answered. Found on {error}.");
    Fault::new("weights", message)
}

/// A scan that can be read and viewed, without a network that could answer it.
fn unanswered(plan: &ScanPlan) -> ScanReport {
    let message =
        "The weights of the network are not loaded, so the slices can be viewed but not answered. Reload the page.";
    refused_report(&RefusedScan {
        name: plan.name().to_owned(),
        sources: plan.sources(),
        refusal: Refusal::new("no_weights", message),
    })
}

fn sample(index: usize) -> Result<phantom::Sample, Fault> {
    phantom::samples()
        .into_iter()
        .nth(index)
        .ok_or_else(|| Fault::new("unknown_sample", format!("There is no sample {index}.")))
}

/// Tells the page of a step; it answers whether to cancel. A listener that throws does not stop a scan.
fn told(progress: &Function, step: Step) -> ControlFlow<()> {
    let (name, done, total) = match step {
        Step::Reading { done, total } => ("read", done, total),
        Step::Ordering => ("order", 0, 0),
        Step::Preparing => ("prepare", 0, 0),
        Step::Looking => ("network", 0, 0),
        Step::Explaining => ("assess", 0, 0),
    };
    let cancel = progress.call3(&JsValue::NULL, &name.into(), &(done as f64).into(), &(total as f64).into());
    if cancel.is_ok_and(|cancel| cancel.is_truthy()) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
}

/// Lets the worker take its messages, such as a cancel, before the next long step.
async fn breathe(pause: &Function) {
    if let Some(promise) = pause.call0(&JsValue::NULL).ok().and_then(|value| value.dyn_into::<Promise>().ok()) {
        // What the pause resolves to means nothing, and neither does its failure.
        let _ = JsFuture::from(promise).await;
    }
}

fn now_ms() -> f64 {
    js_sys::global()
        .dyn_into::<web_sys::WorkerGlobalScope>()
        .ok()
        .and_then(|scope| scope.performance())
        .map_or_else(js_sys::Date::now, |performance| performance.now())
}
