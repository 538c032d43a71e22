use super::*;
use ictus::network::NetworkConfig;
use std::collections::{HashMap, HashSet};

fn decoded(config: NetworkConfig, input_shape: [usize; 3]) -> (ModelProto, ModelFile) {
    let weights = Weights::init(&config, 3).unwrap();
    let file = ModelFile { header: ModelHeader::new("test", "0", config, input_shape), weights };
    (ModelProto::decode(model(&file).unwrap().as_slice()).unwrap(), file)
}

fn sides(value: &ValueInfoProto) -> Vec<String> {
    let tensor = value.r#type.as_ref().unwrap().tensor_type.as_ref().unwrap();
    assert_eq!(tensor.elem_type, FLOAT);
    let side = |dimension: &DimensionProto| match dimension.value.as_ref().unwrap() {
        Dimension::DimValue(side) => side.to_string(),
        Dimension::DimParam(name) => name.clone(),
    };
    tensor.shape.as_ref().unwrap().dim.iter().map(side).collect()
}

fn floats(tensor: &TensorProto) -> Vec<f32> {
    tensor.raw_data.as_chunks::<4>().0.iter().map(|&word| f32::from_le_bytes(word)).collect()
}

#[test]
fn nodes_take_what_is_there_and_outputs_are_made() {
    for (config, shape) in [
        (NetworkConfig::compact(), [0, 96, 80]),
        (NetworkConfig::compact_two_sided(), [0, 96, 80]),
        (NetworkConfig::published(), [64, 128, 128]),
    ] {
        let (model, _) = decoded(config, shape);
        assert_eq!((model.ir_version, model.opset_import[0].version), (8, 18));
        let graph = model.graph.unwrap();
        let mut there: HashSet<&str> = graph.initializer.iter().map(|tensor| tensor.name.as_str()).collect();
        there.extend(graph.input.iter().map(|input| input.name.as_str()));
        for node in &graph.node {
            assert!(node.input.iter().all(|input| there.contains(input.as_str())), "{node:?}");
            assert!(node.output.iter().all(|output| there.insert(output)), "{node:?}");
        }
        assert!(graph.output.iter().all(|output| there.contains(output.name.as_str())));
        for TensorProto { dims, data_type, name, raw_data } in &graph.initializer {
            let bytes = if *data_type == INT64 { 8 } else { 4 };
            assert_eq!(dims.iter().product::<i64>() * bytes, raw_data.len() as i64, "{name}");
        }
    }
}

#[test]
fn the_compact_network_takes_any_number_of_slices() {
    let (model, _) = decoded(NetworkConfig::compact(), [0, 96, 80]);
    let graph = model.graph.unwrap();
    assert_eq!(sides(&graph.input[0]), ["batch", "1", "slices", "96", "80"]);
    let outputs: HashMap<_, _> = graph.output.iter().map(|output| (output.name.as_str(), sides(output))).collect();
    assert_eq!(outputs["patient"], ["batch"]);
    assert_eq!(outputs["slices"], ["batch", "slices"]);
    assert_eq!(outputs["evidence"], ["batch", "1", "slices", "12", "10"]);
}

#[test]
fn convolutions_have_the_folded_weights_and_the_sides_of_their_block() {
    let (model, file) = decoded(NetworkConfig::compact(), [0, 96, 80]);
    let graph = model.graph.unwrap();
    let folded = FoldedWeights::new(&file.header.architecture, &file.weights).unwrap();
    let stored: HashMap<&str, &TensorProto> =
        graph.initializer.iter().map(|tensor| (tensor.name.as_str(), tensor)).collect();
    let convolutions: Vec<&NodeProto> = graph.node.iter().filter(|node| node.op_type == "Conv").collect();
    assert_eq!(convolutions.len(), folded.blocks.len() + 1);
    for ((node, layer), block) in convolutions.iter().zip(&folded.blocks).zip(&file.header.architecture.blocks) {
        let [_, weight, bias] = node.input.as_slice() else { panic!("{node:?}") };
        assert_eq!(floats(stored[weight.as_str()]), layer.weight.values);
        assert_eq!(floats(stored[bias.as_str()]), layer.bias.values);
        let sides = |name: &str| -> Vec<usize> {
            let attribute = node.attribute.iter().find(|attribute| attribute.name == name).unwrap();
            attribute.ints.iter().map(|&side| side as usize).collect()
        };
        assert_eq!(sides("kernel_shape"), block.kernel);
        assert_eq!(sides("strides"), block.stride);
        assert_eq!(sides("pads"), [block.padding_sides(), block.padding_sides()].concat());
    }
}

#[test]
fn weights_of_another_network_are_refused() {
    let (_, mut file) = decoded(NetworkConfig::compact(), [0, 96, 80]);
    file.header.architecture = NetworkConfig::published();
    assert!(model(&file).is_err());
}
