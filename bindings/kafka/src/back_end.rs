//! What stands in for Kafka, where the command line says so: `--kafka embedded`.

use engine::spi::Setting;

/// The setting's name.
pub(crate) const SETTING: &str = "kafka";

/// `--kafka`: every `client` of the file answers from something else than the servers it names.
pub const BACK_END: Setting = Setting {
    name: SETTING,
    value: "BACK_END",
    help: "What every `kafka` `client` of the file answers from, instead of its servers: \
           embedded[:DIR[?OPTION=VALUE&...]], a log in this process. Options: sync=none (no \
           fsync), partitions, retention.bytes, retention.ms, segment.bytes",
    check,
    offline: Some(
        "it stands in for Kafka, so that there is no cluster to look at; its log makes topics when \
         they are first used",
    ),
};

#[cfg(not(feature = "embedded"))]
fn check(_: &str) -> Result<String, String> {
    Err("this program was built without the embedded log: build it with the feature `embedded`"
        .to_owned())
}

#[cfg(feature = "embedded")]
fn check(text: &str) -> Result<String, String> {
    use engine::config::ProcessEnvironment;

    crate::embedded::Options::parse(text, &ProcessEnvironment).map(|options| options.to_string())
}

/// Opens what `text` names. It was checked before.
#[cfg(any(feature = "rdkafka", feature = "embedded"))]
pub(crate) fn open(
    text: &str,
    cx: &engine::spi::PrepareCx<'_>,
    span: &engine::config::Span,
) -> Result<crate::cluster::Lease, engine::config::Problem> {
    let refused =
        |error| engine::config::Problem::new(engine::config::codes::E0503, span.clone(), error);
    #[cfg(not(feature = "embedded"))]
    return check(text).and_then(|_| Err(cx.name().to_string())).map_err(refused);
    #[cfg(feature = "embedded")]
    {
        let options = crate::embedded::Options::parse(text, &engine::config::ProcessEnvironment)
            .map_err(refused)?;
        let bound = crate::config::CacheOptions::default().log_bytes();
        crate::embedded::open(cx.store(), &options, &cx.name().to_string(), cx.metrics(), bound)
            .map_err(refused)
    }
}
