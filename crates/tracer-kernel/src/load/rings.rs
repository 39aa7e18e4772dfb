//! The ring buffers: one for each CPU, as what costs is CPUs contending for one.

use aya::{
    Ebpf,
    maps::{ArrayOfMaps, MapData, MapError},
    util::{nr_cpus, online_cpus},
};
use aya_obj::{Map, generated::bpf_map_type::BPF_MAP_TYPE_RINGBUF};
use tracer_wire::name;

use super::error::LoadError;

/// A smaller ring buffer would be full before it is read: CPUs share one rather than that.
const SMALLEST: u32 = 256 << 10;

/// CPUs as the map of ring buffers has to have places for.
pub(super) fn places() -> u32 {
    let possible = nr_cpus().unwrap_or(1) as u32;
    // Where numbers are left out, the last is more than their count.
    let last = online_cpus().ok().and_then(|cpus| cpus.into_iter().max());
    last.map_or(possible, |last| possible.max(last + 1))
}

/// Creates the ring buffers, of `whole` bytes together, and gives each CPU one: to be done before
/// anything is attached.
pub(super) fn create(ebpf: &mut Ebpf, whole: u32) -> Result<Vec<MapData>, LoadError> {
    let failed = |source| LoadError::Map { map: name::EVENTS, source };
    let missing = || LoadError::Object(format!("the object has no map {}", name::EVENTS));
    let map = ebpf.map_mut(name::EVENTS).ok_or_else(missing)?;
    let mut places = ArrayOfMaps::<_, MapData>::try_from(map).map_err(failed)?;
    let online = online_cpus().map_or(1, |cpus| cpus.len() as u32);
    let (count, size) = division(whole, online);
    let rings: Vec<_> = (0..count).map(|_| ring(size)).collect::<Result<_, _>>().map_err(failed)?;
    for (place, ring) in (0..places.len()).zip(rings.iter().cycle()) {
        places.set(place, ring, 0).map_err(failed)?;
    }
    Ok(rings)
}

fn ring(size: u32) -> Result<MapData, MapError> {
    let definition = Map::new_from_params(BPF_MAP_TYPE_RINGBUF as u32, 0, 0, size, 0);
    MapData::create(definition, name::EVENTS, None)
}

/// How many ring buffers, and how large each is: both are powers of two if `whole` is one.
fn division(whole: u32, cpus: u32) -> (u32, u32) {
    let most = (whole / SMALLEST).max(1);
    let count = cpus.clamp(1, most);
    (count, whole / count.next_power_of_two())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::one(8 << 20, 1, (1, 8 << 20))]
    #[case::each_has_its_own(8 << 20, 2, (2, 4 << 20))]
    #[case::no_power_of_two(8 << 20, 6, (6, 1 << 20))]
    #[case::many_share(8 << 20, 128, (32, 256 << 10))]
    #[case::too_small_to_divide(4096, 2, (1, 4096))]
    #[case::none_known(8 << 20, 0, (1, 8 << 20))]
    fn they_are_as_large_as_asked_together(
        #[case] whole: u32,
        #[case] cpus: u32,
        #[case] expected: (u32, u32),
    ) {
        assert_eq!(division(whole, cpus), expected);
        assert!(expected.0 * expected.1 <= whole);
    }

    #[test]
    fn each_cpu_has_a_place() {
        assert!(online_cpus().unwrap().iter().all(|cpu| *cpu < places()));
    }
}
