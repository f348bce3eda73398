using System.Collections.Immutable;
using Dnn.Checking;
using Dnn.Graph;
using FsCheck.Xunit;
using Xunit;

namespace Dnn.Dsl.Tests;

/// <summary>Random models, and their derivatives, parse to the same graph when they are printed.</summary>
public class PrintingProperties
{
    [Property(Arbitrary = [typeof(GraphArbitrary.Any)], MaxTest = 200)]
    public void A_model_parses_to_the_same_graph(GraphRecipe recipe)
    {
        var model = ModelOf(recipe.Sample);
        RoundTrip.Holds(model);
        Assert.All(Formatter.Format(model).Split('\n').Where(l => !l.Contains('"')), line => Assert.True(line.Length <= Formatter.Width, line));
    }

    [Property(Arbitrary = [typeof(GraphArbitrary.Any)], MaxTest = 200)]
    public void A_model_has_the_same_values_when_it_is_parsed_again(GraphRecipe recipe)
    {
        var sample = recipe.Sample;
        var model = ModelOf(sample);
        foreach (var flat in new[] { false, true })
        {
            var again = RoundTrip.Again(model, flat);
            var point = model.VariableNames.Where(v => sample.Point.ContainsKey(v.Key)).ToDictionary(v => again.VariableNames.Single(o => o.Value == v.Value).Key, v => sample.Point[v.Key]);
            var expected = Reference.Evaluate([.. sample.Roots], sample.Point, sample.Sizes);
            var actual = Reference.Evaluate(Phases.Resolve([.. again.Outputs.Select(o => o.Value)], sample.Training), point, sample.Sizes);
            foreach (var (x, y) in expected.Zip(actual))
            {
                Assert.Equal(x.Dims, y.Dims);
                Assert.Equal(x.Reals, y.Reals);
                Assert.Equal(x.Integers, y.Integers);
            }
        }
    }

    [Property(Arbitrary = [typeof(GraphArbitrary.Any)], MaxTest = 200)]
    public void A_gradient_parses_to_the_same_graph(GraphRecipe recipe) => Derivative(recipe.Sample, 1);

    [Property(Arbitrary = [typeof(GraphArbitrary.Smooth)], MaxTest = 200, EndSize = 50)]
    public void A_second_derivative_parses_to_the_same_graph(GraphRecipe recipe) => Derivative(recipe.Sample, 2);

    [Property(Arbitrary = [typeof(GraphArbitrary.Any)], MaxTest = 200)]
    public void A_rewritten_model_parses_to_the_same_graph(GraphRecipe recipe)
    {
        var model = ModelOf(recipe.Sample);
        var values = Rewriter.Default.Rewrite([.. model.Outputs.Select(o => o.Value)]);
        RoundTrip.Holds(model with { Outputs = [.. model.Outputs.Select((o, i) => o with { Value = values[i] })] });
    }

    [Property(MaxTest = 150)]
    public void A_model_of_layers_and_its_gradient_parse_to_the_same_graph(ushort seed)
    {
        var text = LayeredModels.Text(seed);
        var result = Compiler.Compile(new SourceText(text));
        Assert.True(!result.HasErrors, $"{text}\n{new DiagnosticFormatter().Format(result.Diagnostics)}");
        var model = result.Model!;
        RoundTrip.Holds(model);
        foreach (var training in new[] { true, false })
        {
            var loss = Phases.Resolve([model.TotalLoss], training, model.Provenance)[0];
            Named[] variables = [.. model.Parameters.Select(v => new Named(v.Path, v.Variable)), .. model.Inputs];
            if (Gradient.Of(loss, [.. variables.Select(v => v.Value)]).Any(g => g is not null))
                RoundTrip.Holds(ModelPrinter.Differentiate(model, loss, variables));
        }
    }

    private static void Derivative(GraphSample sample, int order)
    {
        var model = ModelOf(sample);
        var scalar = sample.PhasedLoss;
        for (var i = 0; i < order; i++)
        {
            var gradients = Gradient.Of(scalar, sample.Inputs);
            ImmutableArray<Named> outputs = [.. gradients.Select((g, k) => (g, k)).Where(g => g.g is not null).Select(g => new Named($"grad_{g.k}", g.g!))];
            if (outputs.IsEmpty)
                return;
            RoundTrip.Holds(model with { Outputs = outputs, Losses = [] });
            scalar = outputs.Select(o => (o.Value * o.Value).Sum().Cast(DType.Float)).Aggregate((sum, next) => sum + next);
        }
    }

    /// <summary>Variables of known shape are parameters every other time, the others are inputs.</summary>
    internal static Model ModelOf(GraphSample sample)
    {
        var variables = sample.Point.Keys.OrderBy(v => ((Variable)v.Op).Symbol.Name, StringComparer.Ordinal).ToList();
        var parameters = variables.Where((v, i) => i % 2 == 1 && v.DType == DType.Float && v.Shape.IsKnown).ToList();
        return new Model
        {
            Name = "Random",
            Inputs = [new Named("sizes", Expr.Variable("sizes", new Shape("A", "B"))), .. variables.Except(parameters).Select(v => new Named(((Variable)v.Op).Symbol.Name, v))],
            Targets = [],
            Parameters = [.. parameters.Select(v => new Parameter($"layers[0].{((Variable)v.Op).Symbol.Name}", v, Initializers.Zeros, ParameterOptions.Default))],
            Buffers = [],
            Outputs = [.. sample.PhasedRoots.Select((r, i) => new Named($"root_{i}", r))],
            Losses = [new Named("loss_0", sample.PhasedLoss)],
            Metrics = [],
        };
    }
}
