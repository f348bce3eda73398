using System.Xml.Linq;
using Dnn.Dsl;
using Dnn.Graph;
using Dnn.Testing;
using Xunit;

namespace Dnn.Cli.Tests;

/// <summary>Pictures of models.</summary>
public class GraphTests : Workspace
{
    private const string Deep = """
        layer block(width: int)(x: [B, D]) -> [B, D] {
          return x |> residual(layer_norm() |> dense(width) |> gelu |> dense(D))
        }
        model Deep(depth: int = 4) {
          input x: [B, 8]
          target y: [B, 1]
          let shared = dense(8)
          let logit = x |> shared |> for i in 0..depth { block(16) } |> shared |> dense(1)
          output p = sigmoid(logit)
          loss bce_with_logits(logit, y)
          loss 0.5 * mean(logit ** 2) as small
          metric accuracy = mean((p > 0.5) == (y > 0.5))
        }
        """;

    [Fact]
    public void Graph_is_an_outline_by_default() => Golden.Verify(Fine("graph", WriteSmall()).Output);

    [Fact]
    public void Graph_of_training_comes_back_to_the_parameters() => Golden.Verify(Fine("graph", WriteSmall("small.dnn", ("|> tanh |> dropout(drop) ", "")), "--of", "training").Output);

    [Theory]
    [InlineData("dot", "digraph \"Deep\" {")]
    [InlineData("mermaid", "flowchart TB")]
    [InlineData("svg", "<svg ")]
    public void Graph_has_other_forms(string format, string start)
    {
        var file = Write("deep.dnn", Deep);
        var text = Fine("graph", file, "--format", format).Output;
        Assert.Contains(start, text);
        Assert.Contains("block × 4", text);
        Fine("graph", file, "-o", At("picture." + (format == "mermaid" ? "mmd" : format)));
        Assert.Equal(text, File.ReadAllText(At("picture." + (format == "mermaid" ? "mmd" : format))));
        Assert.Equal(text, Fine("graph", file, "--format", format, "--json").Json.GetProperty("text").GetString());
        Assert.NotEqual(text, Fine("graph", file, "--format", format, "--depth", "0").Output);
        Assert.NotEqual(text, Fine("graph", file, "--format", format, "--of", "training").Output);
    }

    [Fact]
    public void Graph_of_a_model_without_a_loss_has_no_training() =>
        Fails(1, ["graph", Write("m.dnn", "model M {\n  input x: [B, 2]\n  output y = x |> dense(1)\n}"), "--of", "training"], "M has no loss");

    [Theory]
    [InlineData("0")]
    [InlineData("1")]
    [InlineData("99")]
    [InlineData(null)]
    public void Graph_as_svg_is_well_formed_and_its_links_lead_somewhere(string? depth)
    {
        var svg = XDocument.Parse(PictureSvg.Draw(Picture.Of(ModelOf(Deep)), "a < b & c", depth is null ? null : int.Parse(depth)));
        var ids = svg.Descendants().Attributes("id").Select(a => a.Value).ToArray();
        Assert.Equal(ids.Length, ids.Distinct().Count());
        var links = svg.Descendants().Attributes("href").Select(a => a.Value[1..]).ToArray();
        Assert.All(links.Where(l => l.Length > 0), l => Assert.Contains(l, ids));
        // Whatever is not shown opens, and every card has a way back.
        Assert.All(ids, id => Assert.Contains(id, links));
        var shown = string.Join('\n', svg.Descendants().Where(e => e.Name.LocalName == "text").Select(e => e.Value));
        Assert.All(new[] { "a < b & c", "dense", "residual", "layer_norm", "loss small", "metric accuracy", "output p", "shared again", "[B, 16]" }, text => Assert.Contains(text, shown));
    }

    [Fact]
    public void Graph_of_equal_layers_does_not_grow_with_their_number()
    {
        string Draw(int depth) => PictureSvg.Draw(Picture.Of(ModelOf(Deep.Replace("depth: int = 4", $"depth: int = {depth}"))), "deep");
        Assert.InRange(Draw(96).Length, Draw(24).Length - 200, Draw(24).Length + 200);
    }

    [Theory]
    [InlineData("")]
    [InlineData(" |> dropout(0.5)")]
    public void Graph_shows_what_functions_share_in_each_of_them(string before)
    {
        var picture = Picture.Of(ModelOf($"model M {{\n  input x: [B, 8]\n  target y: int[B]\n  let logits = x{before} |> dense(3)\n  output p = softmax(logits)\n  loss cross_entropy(logits, y)\n}}"));
        var softmax = picture.Nodes.Single(n => n.Title == "softmax");
        Assert.Equal(["output p"], picture.Edges.Where(e => e.From == softmax).Select(e => e.To.Title));
        Assert.All(picture.Nodes.Where(n => n.Title is "softmax" or "log_softmax"), n => Assert.Equal("dense", picture.Edges.First(e => e.To == n).From.Title));
    }

    [Fact]
    public void Graph_counts_every_parameter_once()
    {
        var model = ModelOf(Deep);
        Assert.Equal(model.ParameterCount, Picture.Of(model).Nodes.Sum(n => n.Parameters));
        Assert.Equal(model.ParameterCount, Picture.Of(model).Fold().Nodes.Sum(n => n.Parameters));
    }

    [Fact]
    public void Graph_draws_every_example()
    {
        foreach (var file in Directory.GetFiles(RepoRoot.Combine("examples"), "*.dnn", SearchOption.AllDirectories))
        {
            if (Compiler.Compile(file).Model is not { } model)
                continue;
            XDocument.Parse(PictureSvg.Draw(Picture.Of(model), model.Name));
            if (!model.Losses.IsEmpty)
                XDocument.Parse(PictureSvg.Draw(Picture.OfTraining(model), model.Name));
        }
    }

    private static Model ModelOf(string text) => Compiler.Compile(new SourceText(text)).Model!;
}
