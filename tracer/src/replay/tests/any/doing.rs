//! What processes do.

use proptest::{option, prelude::*};

use super::{end, process};
use tracer_event::activity::{Awaited, Doing, Throttled, Wait};

pub(super) fn doing() -> BoxedStrategy<Doing> {
    let wait = ("[a-z_.0-9]{0,20}", any::<u32>())
        .prop_map(|(function, threads)| Wait { function: function.into(), threads });
    let waits = prop::collection::vec(wait, 0..3);
    let on = (any::<bool>(), end(), option::of(process()))
        .prop_map(|(takes_nothing, peer, process)| Awaited { takes_nothing, peer, process });
    let throttled =
        ("[a-z/]{1,20}", any::<u64>(), any::<u64>()).prop_map(|(group, periods, throttled)| {
            Throttled { group: group.into(), periods, throttled }
        });
    let percent = || option::of(0..200_u32);
    (percent(), percent(), option::of(throttled), any::<u32>(), waits, option::of(on))
        .prop_map(|(cpu_percent, ready_percent, throttled, blocked, waits, on)| Doing {
            cpu_percent,
            ready_percent,
            throttled,
            blocked,
            waits,
            on,
        })
        .boxed()
}
