using System.Collections.Immutable;

namespace Dnn.Dsl;

/// <summary>A line of a train block: how it is written and what it does.</summary>
public sealed record OptionRow(string Name, string Signature, string Meaning)
{
    public ImmutableArray<CatalogParameter> Parameters { get; } = CatalogEntry.ParseSignature(Signature);

    /// <summary>Whether the first parameter is what the line is about, so that <c>--set train.batch=32</c> means it.</summary>
    public bool HasMain => Parameters is [{ IsRequired: true } or { IsVariadic: true }, ..];
}

/// <summary>The lines of train blocks.</summary>
public static class TrainOptions
{
    /// <summary>A first parameter that is given by its name all the same.</summary>
    internal const string Every = "every";

    public static ImmutableArray<OptionRow> All { get; } =
    [
        new("optimizer", "optimizer: any", "How gradients move parameters: `optimizer adam(lr = 0.001)`, perhaps `on` some parts, to `minimize` one loss, `every` so many steps. Needed; several run in order on each batch, each seeing what the one before left."),
        new("batch", "size: int", "Rows in a batch; 32 unless given."),
        new("accumulate", "batches: int", "Batches whose gradients make one step, as if they were one batch; for batches that do not fit in memory. Running statistics of batch norm still follow the small batches."),
        new("epochs", "count: any", "Passes over the training part."),
        new("steps", "count: any", "Steps after which training ends, whatever the epoch."),
        new("clip_norm", "norm: float", "The largest norm that all gradients of an optimizer together may have."),
        new("clip_value", "value: float", "The largest absolute value of an element of a gradient."),
        new("early_stop", "on: paths = none, patience: int = 5, min_delta: float = 0, maximize: bool = false", "Ends training when what is watched no longer improves: early_stop on = validation.loss, patience = 5."),
        new("checkpoint", "every: any, keep: int = none", "Keeps weights while training goes on: checkpoint every = 5 epochs, keep = 3; or steps."),
        new("ema", "decay: float", "A running average of the parameters, e ← d·e + (1 − d)·w, which evaluation and the best weights use; early on d is at most (1 + n) / (10 + n) at step n."),
        new("seed", "seed: int", "What all random numbers are functions of; 0 unless given."),
        new("shuffle", "shuffle: bool", "Whether the rows of the training part come in a new order each epoch; true unless given."),
        new("precision", "type: f32|f64", "The float type of the run; f32 unless given. `--dtype` takes its place."),
        new("log", "every: any", "Logs the training part's averages after every so many steps, too: log every = 100 steps."),
        new("weight_decay_on", "which: paths...", "What weight decay reaches: `matrices` (tensors of two and more axes; unless given), `all`, or parts by their paths."),
        new("start_from", "path: string", "Weights of a file to start from, what fits of them: start_from \"w.safetensors\" only \"encoder.*\", rename \"backbone.\" = \"encoder.\"."),
        new("freeze", "parts: paths...", "Parts of the model that keep their values: freeze encoder, or freeze(encoder, head.norm)."),
    ];

    public static OptionRow? Find(string name) => All.FirstOrDefault(o => o.Name == name);
}

/// <summary>The lines of data blocks.</summary>
public static class DataOptions
{
    public static ImmutableArray<string> Known { get; } = ["split", "normalize", "one_hot", "shuffle", "rename", "augment"];

    /// <summary>The lines of <c>augment { … }</c>.</summary>
    public static ImmutableArray<OptionRow> Augmentations { get; } =
    [
        new("flip", "vertical: bool = false", "Turns images left to right with probability ½, or top to bottom."),
        new("crop", "padding: int", "Moves images by up to so many positions along each side; what comes in is 0."),
        new("noise", "std: float", "Adds normal noise to each measurement."),
    ];
}
