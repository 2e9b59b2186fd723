//! What membership costs a node when nothing happens, and when a node dies.

use std::time::Duration;

use super::network::Traffic;
use super::{World, seeds};

/// The length, a header of HTTP/2 and one of TLS come with each frame.
const AROUND: u64 = 4 + 9 + 22;

/// Frames and bytes of the average node in so much time.
fn of_a_node(world: &mut World, time: Duration) -> Traffic {
    for node in &mut world.nodes {
        node.sent = Traffic::default();
    }
    world.run(time);
    let count = world.nodes.len() as u64;
    let frames = world.nodes.iter().map(|node| node.sent.frames).sum::<u64>() / count;
    let bytes = world.nodes.iter().map(|node| node.sent.bytes).sum::<u64>() / count;
    Traffic { frames, bytes }
}

#[test]
fn a_node_costs_little_when_nothing_happens() {
    for (count, seconds, most_frames, most_bytes) in [(3, 120, 10, 300), (200, 30, 16, 1000)] {
        for seed in seeds(1, 3) {
            let mut world = World::settled(count, seed);
            let Traffic { frames, bytes } = of_a_node(&mut world, Duration::from_secs(seconds));
            let (frames, bytes) = (frames / seconds, bytes / seconds);
            let on_wire = bytes + frames * AROUND;
            println!(
                "{count} nodes: {frames} frames/s a node with {bytes} B/s, or {on_wire} B/s in HTTP/2 and TLS"
            );
            assert!(frames <= most_frames, "{count} nodes: {frames} frames/s");
            assert!(bytes <= most_bytes, "{count} nodes: {bytes} bytes/s");
        }
    }
}

#[test]
fn the_death_of_a_host_costs_each_node_little() {
    let mut world = World::settled(100, 3);
    world.cut_off(0);
    let Traffic { frames, bytes } = of_a_node(&mut world, Duration::from_secs(10));
    println!("100 nodes, one dies: {frames} frames with {bytes} bytes a node in ten seconds");
    assert!(frames <= 1000, "{frames} frames");
    assert!(bytes <= 100_000, "{bytes} bytes");
}
