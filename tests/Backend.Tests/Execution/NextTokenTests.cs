using Dnn.Graph;
using Xunit;

namespace Dnn.Backend.Tests;

/// <summary>Decoding token by token through fixed caches gives what the whole sequence gives.</summary>
public class NextTokenTests
{
    private static Model Language(bool decoding, Func<Expr, Expr> positions, bool rope, int cache = 8)
    {
        var builder = new ModelBuilder("Language") { Decoding = decoding };
        using (builder.Enter())
        {
            var tokens = decoding ? builder.Input("tokens", DType.I64, 1, 1) : builder.Input("tokens", DType.I64, "B", "T");
            var h = positions(tokens.Embedding(5, 8)).TransformerBlock(2, causal: true, dropout: 0.1, cache: cache, rope: rope, kvHeads: 1).TransformerBlock(2, causal: true, cache: cache);
            var logits = h.LayerNorm().Dense(5);
            builder.Output("p", logits.Softmax());
        }

        return builder.Complete();
    }

    public static TheoryData<string> Kinds => ["learned", "sinusoidal", "rope"];

    [Theory]
    [MemberData(nameof(Kinds))]
    public void A_token_at_a_time_is_the_whole_sequence(string kind)
    {
        Func<Expr, Expr> positions = kind switch { "learned" => x => x.PositionalEmbedding(8), "sinusoidal" => x => x.SinusoidalPositions(), _ => x => x };
        var whole = Language(false, positions, kind == "rope");
        var weights = Initialization.Sample(whole, 3, DType.F64);
        var options = new PlanOptions { Float = DType.F64 };
        long[] text = [3, 1, 4, 1, 0, 2, 2, 4];
        var expected = new Predictor(whole, weights, options).Predict(("tokens", Tensor.Create(text, 1, 8)))["p"];
        var slow = NextToken.OfWhole(whole, weights, options);
        slow.Begin(8);
        var decoder = NextToken.OneByOne(Language(true, positions, kind == "rope"), weights, options);
        Assert.Equal((5, 8), (decoder.Vocabulary, decoder.Room));
        for (var round = 0; round < 2; round++)
        {
            for (var t = 0; t < text.Length; t++)
            {
                var scores = decoder.Feed(text[t]);
                if (round == 0)
                    Assert.All(slow.Feed(text[t]).Zip(scores), p => Assert.Equal(p.First, p.Second, 1e-12));
                var total = scores.Sum(Math.Exp);
                for (var k = 0; k < 5; k++)
                    Assert.Equal(expected[0, t, k], Math.Exp(scores[k]) / total, 1e-12);
            }

            decoder.Begin(0);
        }

        Assert.Contains("8 tokens", Assert.Throws<InvalidOperationException>(() => slow.Feed(0)).Message);
    }

    public static TheoryData<string, bool> Memories => new()
    {
        { "lstm", true }, { "gru of two layers", true }, { "rnn twice", true }, { "lstm and attention", true },

        // What looks at other positions in another way goes over the whole text.
        { "reverse", false }, { "both ways", false }, { "mean of the past", false }, { "convolution", false },
    };

    [Theory]
    [MemberData(nameof(Memories))]
    public void A_recurrence_carries_its_states_and_what_cannot_be_carried_is_read_again(string kind, bool carries)
    {
        Model Build(bool decoding)
        {
            var builder = new ModelBuilder("Recurrent") { Decoding = decoding };
            using (builder.Enter())
            {
                var tokens = decoding ? builder.Input("tokens", DType.I64, 1, 1) : builder.Input("tokens", DType.I64, "B", "T");
                var x = tokens.Embedding(5, 6);
                var twice = Layers.Rnn(6);
                var h = kind switch
                {
                    "lstm" => x.Lstm(7),
                    "gru of two layers" => x.Gru(7, layers: 2),
                    "rnn twice" => x.Apply(twice).Apply(twice),
                    "lstm and attention" => x.Lstm(6).Attention(2, causal: true, cache: 8),
                    "reverse" => x.Lstm(7, reverse: true),
                    "both ways" => x.Gru(7, bidirectional: true),
                    "mean of the past" => x.Gru(7).CumSum(1),
                    _ => x.Lstm(7).Conv1d(7, 2, padding: Padding.Of((1, 0))),
                };
                builder.Output("scores", h.Dense(5));
            }

            return builder.Complete();
        }

        var whole = Build(false);
        var options = new PlanOptions { Float = DType.F64 };
        var weights = Initialization.Sample(whole, 3, DType.F64);
        var decoder = NextToken.Of(whole, () => Build(true), weights, options);
        var slow = NextToken.OfWhole(whole, weights, options);
        Assert.Equal(carries, decoder.GetType() != slow.GetType());
        decoder.Begin(6);
        slow.Begin(6);
        foreach (var token in new long[] { 3, 1, 4, 0, 2, 2 })
            Assert.All(slow.Feed(token).Zip(decoder.Feed(token)), p => Assert.Equal(p.First, p.Second, 1e-12));
    }

    [Fact]
    public void A_token_writes_one_row_of_the_cache()
    {
        var model = Language(true, x => x, rope: true);
        var caches = Expr.PostOrder(model.Buffers.Where(b => b.Next is not null).Select(b => b.Next!)).Where(n => n.Op is DynamicUpdateSlice).ToArray();
        Assert.Equal(4, caches.Length);
        Assert.All(caches, c => Assert.Equal(Dim.One, c.Args[1].Shape[1]));
    }

    [Fact]
    public void Choosing_follows_the_scores_and_a_seed()
    {
        double[] scores = [1, 3, 2, -50];
        Assert.Equal(1, NextToken.Choose(scores, 0, null, 1, 0));
        var counts = new int[4];
        for (var i = 0; i < 4000; i++)
            counts[NextToken.Choose(scores, 1, null, 7, i)]++;
        Assert.InRange(counts[1] / 4000.0, 0.63, 0.70);
        Assert.InRange(counts[0] / 4000.0, 0.07, 0.11);
        Assert.Equal(0, counts[3]);
        Assert.All(Enumerable.Range(0, 200), i => Assert.Contains(NextToken.Choose(scores, 5, 2, 7, i), new[] { 1, 2 }));
        Assert.Equal(NextToken.Choose(scores, 1, null, 9, 5), NextToken.Choose(scores, 1, null, 9, 5));
    }

    [Fact]
    public void A_model_that_cannot_decode_says_why()
    {
        var builder = new ModelBuilder("M") { Decoding = true };
        using (builder.Enter())
            Assert.Contains("cache = 256", Assert.Throws<GraphException>(() => builder.Input("x", 1, 1, 4).Attention(2, causal: true)).Message, StringComparison.Ordinal);
        var other = Model.Build("Other", m => m.Output("y", m.Input("x", "B", 3).Dense(2)));
        Assert.Contains("no language model", Assert.Throws<GraphException>(() => NextToken.OneByOne(other, Initialization.Sample(other, 1))).Message, StringComparison.Ordinal);
    }
}
