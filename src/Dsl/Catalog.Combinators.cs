namespace Dnn.Dsl;

/// <summary>Layers made of layers. They add nothing to the paths of what is in them.</summary>
public static partial class Catalog
{
    private static CatalogEntry Combinator(string name, string signature, string equation, string shapes, string use) =>
        Row(CatalogKind.Combinator, name, signature, equation, shapes, use, _ => null);

    private static IEnumerable<CatalogEntry> Combinators() =>
    [
        Combinator("repeat", "n: int, f: layer", "y = f(f(… f(x)))", "what f takes → what f gives",
            "n layers in series; f is evaluated n times, so that a layer it constructs is a new one each time, and a name bound by `let` is shared."),
        Combinator("chain", "layers: layer...", "y = …(g(f(x)))", "what the first takes → what the last gives", "The same as `f |> g |> …`."),
        Combinator("frozen", "f: layer", "y = f(x), no gradient to the parameters of f", "what f takes → what f gives",
            "Shares the parameters of f and keeps them as they are in this application; elsewhere they train. The gradient passes through to x."),
        Combinator("no_decay", "f: layer", "y = f(x), no weight decay of the parameters of f", "what f takes → what f gives", "For whatever should not shrink; norms and biases do not decay anyway."),
        Combinator("lr_scale", "f: layer, s: float", "y = f(x), learning rate of the parameters of f times s", "what f takes → what f gives", "For pretrained parts that should move slowly."),
        Combinator("checkpoint", "f: layer", "y = f(x), computed again for gradients", "what f takes → what f gives",
            "Keeps x alone until the gradient needs what lies between x and y: memory falls, and one more forward pass of f is computed (Chen et al. 2016)."),
    ];
}
