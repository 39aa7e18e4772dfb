//! The ring buffers: one for each CPU, as what costs is CPUs contending for one.

use std::{
    os::fd::AsFd as _,
    panic::resume_unwind,
    sync::{Mutex, PoisonError},
    thread,
};

use aya::{
    Ebpf,
    maps::{ArrayOfMaps, Map, MapData, MapError},
    util::{nr_cpus, online_cpus},
};
use aya_obj::generated::bpf_map_type::BPF_MAP_TYPE_RINGBUF;
use tracer_wire::name;

use super::error::LoadError;

/// A smaller ring buffer would be full before it is read: CPUs share one rather than that.
const SMALLEST: u32 = 256 << 10;

/// Threads that wait for the kernel.
const THREADS: u32 = 32;

/// CPUs as the map of ring buffers has to have places for.
pub(super) fn places() -> u32 {
    let possible = nr_cpus().unwrap_or(1) as u32;
    // Where numbers are left out, the last is more than their count.
    let last = online_cpus().ok().and_then(|cpus| cpus.into_iter().max());
    last.map_or(possible, |last| possible.max(last + 1))
}

/// Creates the ring buffers, of `whole` bytes together, and gives each CPU one: to be done before
/// anything is attached.
///
/// For each place the kernel waits until no program can see what was there before, which takes longer
/// than the verifier has for a program (`maybe_wait_bpf_programs` in kernel/bpf/syscall.c). So threads
/// wait side by side, and `meanwhile` is done.
pub(super) fn create<T>(
    ebpf: &mut Ebpf,
    whole: u32,
    meanwhile: impl FnOnce(&mut Ebpf) -> T,
) -> Result<(Vec<MapData>, T), LoadError> {
    let failed = |source| LoadError::Map { map: name::EVENTS, source };
    let missing = || LoadError::Object(format!("the object has no map {}", name::EVENTS));
    let Some(Map::ArrayOfMaps(map)) = ebpf.map(name::EVENTS) else { return Err(missing()) };
    let map = map.fd().as_fd().try_clone_to_owned().map_err(|error| failed(error.into()))?;
    let online = online_cpus().map_or(1, |cpus| cpus.len() as u32);
    let (count, size) = division(whole, online);
    let rings: Vec<_> = (0..count).map(|_| ring(size)).collect::<Result<_, _>>().map_err(failed)?;
    let left = Mutex::new((0..places()).zip(rings.iter().cycle()));
    let next = || left.lock().unwrap_or_else(PoisonError::into_inner).next();
    let give = || -> Result<(), MapError> {
        let map = Map::ArrayOfMaps(MapData::from_fd(map.try_clone()?)?);
        let mut map = ArrayOfMaps::<_, MapData>::try_from(map)?;
        while let Some((place, ring)) = next() {
            map.set(place, ring, 0)?;
        }
        Ok(())
    };
    let (done, given) = thread::scope(|scope| {
        let start = || thread::Builder::new().name("tracer-rings".into()).spawn_scoped(scope, give);
        // Where no thread can be started, this one waits.
        let threads: Vec<_> = (0..places().min(THREADS)).map_while(|_| start().ok()).collect();
        let done = meanwhile(ebpf);
        let given = threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|panic| resume_unwind(panic)));
        (done, given.chain([give()]).collect::<Result<(), _>>())
    });
    given.map_err(failed)?;
    Ok((rings, done))
}

fn ring(size: u32) -> Result<MapData, MapError> {
    let definition = aya_obj::Map::new_from_params(BPF_MAP_TYPE_RINGBUF as u32, 0, 0, size, 0);
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
