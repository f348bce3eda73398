using System.Collections.Frozen;
using System.Collections.Immutable;

namespace Dnn.Dsl;

/// <summary>A line of a train block: how it is written and what it does.</summary>
public sealed record OptionRow(string Name, string Signature, string Meaning)
{
    public ImmutableArray<CatalogParameter> Parameters { get; } = CatalogEntry.ParseSignature(Signature);
}

/// <summary>The lines of train blocks.</summary>
public static class TrainOptions
{
    public static ImmutableArray<OptionRow> All { get; } =
    [
        new("optimizer", "optimizer: any", "How gradients move parameters: sgd, adam, adamw, rmsprop. Needed."),
        new("batch", "size: int", "Rows in a batch; 32 unless given."),
        new("epochs", "count: any", "Passes over the training part."),
        new("steps", "count: any", "Steps after which training ends, whatever the epoch."),
        new("clip_norm", "norm: float", "The largest norm that all gradients together may have."),
        new("clip_value", "value: float", "The largest absolute value of an element of a gradient."),
        new("early_stop", "on: any = none, patience: int = 5, min_delta: float = 0, maximize: bool = false", "Ends training when what is watched no longer improves: early_stop on = validation.loss, patience = 5."),
        new("seed", "seed: int", "What all random numbers are functions of; 0 unless given."),
        new("shuffle", "shuffle: bool", "Whether the rows of the training part come in a new order each epoch; true unless given."),
        new("weight_decay_on", "which: matrices|all", "Whether weight decay reaches all parameters, or tensors of two and more axes only."),
    ];

    /// <summary>Options of the language that this version lacks.</summary>
    public static FrozenSet<string> Planned { get; } = "accumulate checkpoint ema precision log start_from freeze".Split(' ').ToFrozenSet(StringComparer.Ordinal);

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
