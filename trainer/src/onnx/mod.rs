//! A network as an ONNX model, for other runtimes: from relative Hounsfield units to [`ictus::network::Logits`], the
//! pooling to slice and patient logits included.

mod proto;

use ictus::network::{FoldedHead, FoldedLayer, FoldedWeights, ModelFile, ModelHeader, Tensor32, Weights, WeightsError};
use prost::Message;
use proto::{
    ATTRIBUTE_INT, ATTRIBUTE_INTS, AttributeProto, Dimension, DimensionProto, FLOAT, GraphProto, INT64, ModelProto,
    NodeProto, OperatorSetIdProto, StringStringEntryProto, TensorProto, TensorShapeProto, TensorTypeProto, TypeProto,
    ValueInfoProto,
};

/// The first operator set whose `ReduceLogSumExp` takes its axes as an input; of 2022.
const OPSET: i64 = 18;
/// Version of the messages that goes with it.
const IR_VERSION: i64 = 8;

const INPUT: &str = "hounsfield";
const INPUT_DOC: &str = "[batch, 1, slice, y, x]: brain slices in Hounsfield units relative to the median of the brain, \
                         0 outside of it, bottom to top; clamped and scaled inside the model.";

/// Makes the bytes of the model.
///
/// # Errors
/// [`WeightsError`] if the weights are not of the network that the header describes.
pub(crate) fn model(file: &ModelFile) -> Result<Vec<u8>, WeightsError> {
    let ModelHeader { name, version, licence, payload_sha256, .. } = &file.header;
    let about = [("weights", name), ("weights_version", version), ("weights_sha256", payload_sha256)];
    let model = ModelProto {
        ir_version: IR_VERSION,
        producer_name: "ictus".to_owned(),
        producer_version: env!("CARGO_PKG_VERSION").to_owned(),
        doc_string: licence.clone(),
        graph: Some(graph(file)?),
        opset_import: vec![OperatorSetIdProto { domain: String::new(), version: OPSET }],
        metadata_props: about
            .map(|(key, value)| StringStringEntryProto { key: key.to_owned(), value: value.clone() })
            .to_vec(),
    };
    Ok(model.encode_to_vec())
}

fn graph(file: &ModelFile) -> Result<GraphProto, WeightsError> {
    let ModelFile { header, weights } = file;
    let folded = FoldedWeights::new(&header.architecture, weights)?;
    let [slices, rows, columns] = header.input_shape;
    let [_, map_rows, map_columns] = header.architecture.feature_shape([slices.max(1), rows, columns])?;
    let batch = || named("batch");
    let depth = if slices == 0 { named("slices") } else { size(slices) };
    let mut graph = GraphProto {
        name: header.name.clone(),
        input: vec![ValueInfoProto {
            doc_string: INPUT_DOC.to_owned(),
            ..value(INPUT, vec![batch(), size(1), depth.clone(), size(rows), size(columns)])
        }],
        ..GraphProto::default()
    };

    let [low, high] = header.scaling.clamp;
    let bounds = [scalar(&mut graph, "low", low), scalar(&mut graph, "high", high)];
    let clamped = node(&mut graph, "Clip", "clamped", &[INPUT, &bounds[0], &bounds[1]], vec![]);
    let divisor = scalar(&mut graph, "divisor", header.scaling.divide);
    let mut features = node(&mut graph, "Div", "scaled", &[&clamped, &divisor], vec![]);
    for (index, (block, layer)) in header.architecture.blocks.iter().zip(&folded.blocks).enumerate() {
        let name = |part: &str| format!("blocks.{index}.{part}");
        let padding = block.padding_sides();
        let attributes = vec![
            ints("kernel_shape", &block.kernel),
            ints("strides", &block.stride),
            ints("pads", &[padding, padding].concat()),
        ];
        features = convolution(&mut graph, &name("conv"), &features, layer, attributes);
        features = node(&mut graph, "Relu", &name("relu"), &[&features], vec![]);
        if block.pool != [1; 3] {
            let attributes = vec![ints("kernel_shape", &block.pool), ints("strides", &block.pool)];
            features = node(&mut graph, "MaxPool", &name("pool"), &[&features], attributes);
        }
    }
    match &folded.head {
        FoldedHead::Evidence { layer, asymmetry } => {
            if *asymmetry {
                features = with_asymmetry(&mut graph, &features);
            }
            let attributes = vec![ints("kernel_shape", &[1; 3])];
            convolution(&mut graph, "evidence", &features, layer, attributes);
            pooling(&mut graph, weights, map_rows * map_columns)?;
            graph.output = vec![
                value("patient", vec![batch()]),
                value("slices", vec![batch(), depth.clone()]),
                value("evidence", vec![batch(), size(1), depth, size(map_rows), size(map_columns)]),
            ];
        }
        FoldedHead::Dense { hidden, output } => {
            let mean = node(&mut graph, "GlobalAveragePool", "mean", &[&features], vec![]);
            let mean = node(&mut graph, "Flatten", "flat", &[&mean], vec![]);
            let hidden = dense(&mut graph, "hidden", &mean, hidden);
            let hidden = node(&mut graph, "Relu", "hidden.relu", &[&hidden], vec![]);
            let logits = dense(&mut graph, "output", &hidden, output);
            let axis = integers(&mut graph, "output.axis", &[1]);
            node(&mut graph, "Squeeze", "patient", &[&logits, &axis], vec![]);
            graph.output = vec![value("patient", vec![batch()])];
        }
    }
    Ok(graph)
}

/// The channels, and by how much each exceeds its own mirror image.
fn with_asymmetry(graph: &mut GraphProto, features: &str) -> String {
    let [start, end, axis, step] = [("start", -1), ("end", i64::MIN), ("axis", 4), ("step", -1)]
        .map(|(name, value)| integers(graph, &format!("mirror.{name}"), &[value]));
    let mirrored = node(graph, "Slice", "mirror", &[features, &start, &end, &axis, &step], vec![]);
    let excess = node(graph, "Sub", "mirror.difference", &[features, &mirrored], vec![]);
    let excess = node(graph, "Relu", "mirror.excess", &[&excess], vec![]);
    node(graph, "Concat", "mirror.both", &[features, &excess], vec![int("axis", 1)])
}

/// From the map, of `cells` a slice, to the logits of slices and patient: [`ictus::network::slice_logit`] and
/// [`ictus::network::patient_logit`].
fn pooling(graph: &mut GraphProto, weights: &Weights, cells: usize) -> Result<(), WeightsError> {
    let [scale, offset] = weights.pair("head.slice")?;
    let affine = |graph: &mut GraphProto, output: &str, input: &str, [scale, offset]: [f32; 2]| {
        let [scale, offset] = [("scale", scale), ("offset", offset)]
            .map(|(name, number)| scalar(graph, &format!("{output}.{name}"), number));
        let scaled = node(graph, "Mul", &format!("{output}.scaled"), &[input, &scale], vec![]);
        node(graph, "Add", output, &[&scaled, &offset], vec![]);
    };
    let drop = || vec![int("keepdims", 0)];
    let axes = integers(graph, "slices.axes", &[1, 3, 4]);
    let sum = node(graph, "ReduceLogSumExp", "slices.sum", &["evidence", &axes], drop());
    affine(graph, "slices", &sum, [scale, offset - scale * (cells as f32).ln()]);

    let axis = integers(graph, "patient.channel", &[1]);
    let rows = node(graph, "Unsqueeze", "patient.rows", &["slices", &axis], vec![]);
    // Ends are means of two: padding is not counted.
    let window = vec![ints("kernel_shape", &[3]), ints("pads", &[1, 1])];
    let means = node(graph, "AveragePool", "patient.means", &[&rows], window);
    let axes = integers(graph, "patient.axes", &[1, 2]);
    let sum = node(graph, "ReduceLogSumExp", "patient.sum", &[&means, &axes], drop());
    let count = node(graph, "Shape", "patient.shape", &["slices"], vec![int("start", 1)]);
    let count = node(graph, "Cast", "patient.count", &[&count], vec![int("to", FLOAT.into())]);
    let count = node(graph, "Log", "patient.log", &[&count], vec![]);
    let mean = node(graph, "Sub", "patient.mean", &[&sum, &count], vec![]);
    affine(graph, "patient", &mean, weights.pair("head.patient")?);
    Ok(())
}

/// Adds a node, and returns its output, which has its name.
fn node(
    graph: &mut GraphProto,
    operator: &str,
    name: &str,
    inputs: &[&str],
    attributes: Vec<AttributeProto>,
) -> String {
    graph.node.push(NodeProto {
        input: inputs.iter().map(|&input| input.to_owned()).collect(),
        output: vec![name.to_owned()],
        name: name.to_owned(),
        op_type: operator.to_owned(),
        attribute: attributes,
    });
    name.to_owned()
}

fn convolution(
    graph: &mut GraphProto,
    name: &str,
    input: &str,
    layer: &FoldedLayer,
    attributes: Vec<AttributeProto>,
) -> String {
    let [weight, bias] = parameters(graph, name, layer);
    node(graph, "Conv", name, &[input, &weight, &bias], attributes)
}

fn dense(graph: &mut GraphProto, name: &str, input: &str, layer: &FoldedLayer) -> String {
    let [weight, bias] = parameters(graph, name, layer);
    node(graph, "Gemm", name, &[input, &weight, &bias], vec![])
}

fn parameters(graph: &mut GraphProto, name: &str, layer: &FoldedLayer) -> [String; 2] {
    [("weight", &layer.weight), ("bias", &layer.bias)].map(|(part, Tensor32 { shape, values })| {
        let bytes = values.iter().flat_map(|x| x.to_le_bytes()).collect();
        initializer(graph, format!("{name}.{part}"), FLOAT, shape, bytes)
    })
}

fn scalar(graph: &mut GraphProto, name: &str, value: f32) -> String {
    initializer(graph, name.to_owned(), FLOAT, &[], value.to_le_bytes().to_vec())
}

fn integers(graph: &mut GraphProto, name: &str, values: &[i64]) -> String {
    let bytes = values.iter().flat_map(|x| x.to_le_bytes()).collect();
    initializer(graph, name.to_owned(), INT64, &[values.len()], bytes)
}

fn initializer(graph: &mut GraphProto, name: String, data_type: i32, shape: &[usize], raw_data: Vec<u8>) -> String {
    let dims = shape.iter().map(|&side| side as i64).collect();
    graph.initializer.push(TensorProto { dims, data_type, name: name.clone(), raw_data });
    name
}

fn int(name: &str, value: i64) -> AttributeProto {
    AttributeProto { name: name.to_owned(), i: Some(value), r#type: ATTRIBUTE_INT, ..AttributeProto::default() }
}

fn ints(name: &str, values: &[usize]) -> AttributeProto {
    let ints = values.iter().map(|&value| value as i64).collect();
    AttributeProto { name: name.to_owned(), ints, r#type: ATTRIBUTE_INTS, ..AttributeProto::default() }
}

fn value(name: &str, dim: Vec<DimensionProto>) -> ValueInfoProto {
    let tensor_type = Some(TensorTypeProto { elem_type: FLOAT, shape: Some(TensorShapeProto { dim }) });
    ValueInfoProto { name: name.to_owned(), r#type: Some(TypeProto { tensor_type }), doc_string: String::new() }
}

fn size(side: usize) -> DimensionProto {
    DimensionProto { value: Some(Dimension::DimValue(side as i64)) }
}

fn named(side: &str) -> DimensionProto {
    DimensionProto { value: Some(Dimension::DimParam(side.to_owned())) }
}

#[cfg(test)]
mod tests;
