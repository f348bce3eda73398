using System.Text;
using Dnn.Graph;
using Xunit;

namespace Dnn.Backend.Tests;

public class SafetensorsTests
{
    [Fact]
    public void A_file_written_byte_by_byte_is_read()
    {
        using var folder = new Folder();
        // {"b":I32[2] at 0..8, "a":F32[1,2] at 8..16}, little-endian.
        byte[] header = Encoding.ASCII.GetBytes("""
            {"__metadata__":{"k":"v"},"a":{"dtype":"F32","shape":[1,2],"data_offsets":[8,16]},"b":{"dtype":"I32","shape":[2],"data_offsets":[0,8]}}
            """.Trim());
        Assert.Equal(135, header.Length);
        byte[] file =
        [
            135, 0, 0, 0, 0, 0, 0, 0, .. header,
            0xFE, 0xFF, 0xFF, 0xFF, 0x00, 0x01, 0x00, 0x00,
            0x00, 0x00, 0x80, 0x3F, 0x00, 0x00, 0x20, 0xC0,
        ];
        Weights weights = Weights.Load(folder.Write("w.safetensors", file));
        Assert.Equal(["a", "b"], weights.Paths);
        Assert.Equal("v", weights.Metadata["k"]);
        Assert.True(weights["a"].BitEquals(Tensor.Create([1f, -2.5f], 1, 2)));
        Assert.True(weights["b"].BitEquals(Tensor.Create([-2L, 256L])));
    }

    [Fact]
    public void A_file_is_written_byte_by_byte()
    {
        using var folder = new Folder();
        Weights.Empty.With("w", Tensor.Create([1.0, 2.0])).With("b", Tensor.Create([true])).Save(folder["w.safetensors"]);
        const string Header = """{"w":{"dtype":"F64","shape":[2],"data_offsets":[0,16]},"b":{"dtype":"BOOL","shape":[1],"data_offsets":[16,17]}}""";
        byte[] expected =
        [
            112, 0, 0, 0, 0, 0, 0, 0, .. Encoding.ASCII.GetBytes(Header.PadRight(112)),
            0, 0, 0, 0, 0, 0, 0xF0, 0x3F, 0, 0, 0, 0, 0, 0, 0, 0x40, 1,
        ];
        Assert.Equal(expected, File.ReadAllBytes(folder["w.safetensors"]));
        Assert.Single(Directory.GetFiles(folder.Path));
    }

    [Fact]
    public void Every_type_of_the_format_is_read()
    {
        using var folder = new Folder();
        (string Type, byte[] Bytes, Tensor Value)[] cases =
        [
            ("BOOL", [1, 0], Tensor.Create([true, false])),
            ("I8", [0xFF, 2], Tensor.Create([-1L, 2])),
            ("U8", [0xFF, 2], Tensor.Create([255L, 2])),
            ("I16", [0xFF, 0xFF, 2, 1], Tensor.Create([-1L, 258])),
            ("U16", [0xFF, 0xFF, 2, 1], Tensor.Create([65535L, 258])),
            ("I32", [0xFF, 0xFF, 0xFF, 0xFF, 0, 1, 0, 0], Tensor.Create([-1L, 256])),
            ("U32", [0xFF, 0xFF, 0xFF, 0xFF, 0, 1, 0, 0], Tensor.Create([4294967295L, 256])),
            ("I64", [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1, 0, 0, 0, 0, 0, 0, 0], Tensor.Create([-1L, 1])),
            ("U64", [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F, 1, 0, 0, 0, 0, 0, 0, 0], Tensor.Create([long.MaxValue, 1])),
            ("F16", [0x00, 0x3C, 0x01, 0x00], Tensor.Create([1f, 5.9604645e-08f])),
            ("BF16", [0x80, 0x3F, 0x20, 0xC0], Tensor.Create([1f, -2.5f])),
            ("F32", [0, 0, 0x80, 0x3F, 0, 0, 0xC0, 0x7F], Tensor.Create([1f, BitConverter.Int32BitsToSingle(0x7FC00000)])),
            ("F64", [0, 0, 0, 0, 0, 0, 0xF0, 0x3F, 0, 0, 0, 0, 0, 0, 0, 0x80], Tensor.Create([1.0, -0.0])),
        ];
        foreach ((string type, byte[] bytes, Tensor value) in cases)
        {
            string header = $$$"""{"x":{"dtype":"{{{type}}}","shape":[2],"data_offsets":[0,{{{bytes.Length}}}]}}""";
            Tensor read = Weights.Load(folder.Write("w", File_(header, bytes)))["x"];
            Assert.True(read.BitEquals(value), $"{type}: {read}");
        }
    }

    [Fact]
    public void Writing_and_reading_gives_the_same_bits_and_bytes() => Samples.Check(Samples.Weights, weights =>
    {
        using var folder = new Folder();
        weights.Save(folder["a"]);
        Weights read = Weights.Load(folder["a"]);
        Assert.True(weights.BitEquals(read));
        Assert.Equal(weights.Metadata, read.Metadata);
        read.Save(folder["b"]);
        Assert.Equal(File.ReadAllBytes(folder["a"]), File.ReadAllBytes(folder["b"]));
    });

    public static TheoryData<string, byte[], string> Malformed() => new()
    {
        { "empty", [], "too few" },
        { "seven bytes", new byte[7], "too few" },
        { "the header is longer than the file", [200, 0, 0, 0, 0, 0, 0, 0, (byte)'{', (byte)'}'], "claim a header of 200 bytes" },
        { "the header length overflows", [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, (byte)'{', (byte)'}'], "18446744073709551615" },
        { "no JSON", File_("hello world"), "not JSON" },
        { "an open brace", File_("{"), "not JSON" },
        { "empty header", File_(""), "not JSON" },
        { "deep", File_(new string('[', 100_000)), "not JSON" },
        { "not UTF-8", [16, 0, 0, 0, 0, 0, 0, 0, .. "{\""u8, 0xFF, 0xFE, .. "\":{}}       "u8], "not JSON" },
        { "an array", File_("[]"), "not a JSON object" },
        { "an entry that is a number", File_("""{"x":1}"""), "'x': its entry" },
        { "unknown type", File_("""{"x":{"dtype":"F8_E4M3","shape":[1],"data_offsets":[0,1]}}""", 0), "F8_E4M3" },
        { "no shape", File_("""{"x":{"dtype":"F32","data_offsets":[0,4]}}""", 0, 0, 0, 0), "'shape' is missing" },
        { "negative size", File_("""{"x":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}""", 0, 0, 0, 0), "'shape'" },
        { "a size of 1.5", File_("""{"x":{"dtype":"F32","shape":[1.5],"data_offsets":[0,4]}}""", 0, 0, 0, 0), "'shape'" },
        { "sizes that overflow", File_("""{"x":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]}}"""), "too large" },
        { "sizes whose product overflows", File_("""{"x":{"dtype":"F32","shape":[2147483647,2147483647,2147483647,2147483647,2],"data_offsets":[0,0]}}"""), "too large" },
        { "a hundred dimensions", File_($$$"""{"x":{"dtype":"F32","shape":[{{{string.Join(",", Enumerable.Repeat(1, 100))}}}],"data_offsets":[0,4]}}""", 0, 0, 0, 0), "too large" },
        { "three offsets", File_("""{"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4,8]}}""", 0, 0, 0, 0), "'data_offsets'" },
        { "offsets that do not fit the shape", File_("""{"x":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}""", 0, 0, 0, 0), "takes 8 bytes" },
        { "offsets backwards", File_("""{"x":{"dtype":"F32","shape":[1],"data_offsets":[8,4]}}""", 0, 0, 0, 0), "[8, 4]" },
        { "truncated data", File_("""{"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}""", 0, 0, 0), "truncated" },
        { "huge, and truncated", File_("""{"x":{"dtype":"F32","shape":[500000000],"data_offsets":[0,2000000000]}}"""), "truncated" },
        { "trailing bytes", File_("""{"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}""", 0, 0, 0, 0, 0), "1 bytes follow" },
        { "a gap", File_("""{"x":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}""", 0, 0), "gap" },
        { "an overlap", File_("""{"x":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"y":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}}""", 0, 0, 0), "overlaps" },
        { "a name twice", File_("""{"x":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"x":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}"""), "'x' twice" },
        { "a key twice", File_("""{"x":{"dtype":"U8","dtype":"U8","shape":[0],"data_offsets":[0,0]}}"""), "'dtype'" },
        { "metadata of numbers", File_("""{"__metadata__":{"a":1}}"""), "'a'" },
        { "metadata that is a list", File_("""{"__metadata__":[]}"""), "__metadata__" },
        { "a U64 out of range", File_("""{"x":{"dtype":"U64","shape":[1],"data_offsets":[0,8]}}""", 0, 0, 0, 0, 0, 0, 0, 0x80), "'x' has a U64" },
    };

    [Theory]
    [MemberData(nameof(Malformed))]
    public void A_malformed_file_is_refused_with_its_name_and_a_reason(string what, byte[] file, string reason)
    {
        using var folder = new Folder();
        string path = folder.Write("w.safetensors", file);
        var e = Assert.Throws<DataFormatException>(() => Weights.Load(path));
        Assert.True(e.Message.StartsWith(path + ": ", StringComparison.Ordinal), what);
        Assert.Contains(reason, e.Message, StringComparison.Ordinal);
        Assert.NotNull(e.Fix);
    }

    [Fact]
    public void Any_damage_to_a_file_gives_weights_or_our_exception()
    {
        using var folder = new Folder();
        Weights.Empty.With("a", Tensor.Zeros(DType.F32, 2, 3)).With("b", Tensor.Scalar(1L)).WithMetadata("k", "v").Save(folder["w"]);
        byte[] file = File.ReadAllBytes(folder["w"]);
        for (int i = 0; i < file.Length; i++)
        {
            foreach (byte value in (byte[])[0, (byte)'9', 0xFF])
            {
                byte[] damaged = [.. file];
                damaged[i] = value;
                Try(folder.Write("d", damaged));
            }

            Try(folder.Write("d", file.AsSpan(0, i)));
        }

        static void Try(string path)
        {
            try
            {
                Weights.Load(path);
            }
            catch (DataFormatException)
            {
            }
        }
    }

    [Fact]
    public void What_the_system_refuses_is_told_like_the_rest()
    {
        using var folder = new Folder();
        folder.Write("weights.safetensors", "");
        Assert.Contains("Did you mean 'weights.safetensors'?", Refusal(() => Weights.Load(folder["weigths.safetensors"])), StringComparison.Ordinal);
        Assert.Contains("folder does not exist", Refusal(() => Weights.Load(folder["no/w"])), StringComparison.Ordinal);
        Assert.Contains("this is a folder", Refusal(() => Weights.Load(folder.Path)), StringComparison.Ordinal);
        Assert.Contains("folder does not exist", Refusal(() => Weights.Empty.Save(folder["no/w"])), StringComparison.Ordinal);
        Assert.Contains("this is a folder", Refusal(() => Weights.Empty.Save(folder.Path)), StringComparison.Ordinal);
        if (File.Exists("/dev/full"))
        {
            Assert.Contains("cannot write", Refusal(() => Weights.Empty.Save("/dev/full")), StringComparison.Ordinal);
        }

        static string Refusal(Action action) => Assert.Throws<DataFormatException>(action).Message;
    }

    [Fact]
    public void A_save_that_fails_leaves_the_old_file_and_nothing_else()
    {
        using var folder = new Folder();
        string path = folder["a.npz"];
        Npz.Write(path, [new("x", Tensor.Scalar(1.0))]);
        byte[] before = File.ReadAllBytes(path);
        Assert.Throws<DataFormatException>(() => Npz.Write(path, [new("x", Tensor.Scalar(2.0)), new("x", Tensor.Scalar(3.0))]));
        Assert.Equal(before, File.ReadAllBytes(path));
        Assert.Single(Directory.GetFiles(folder.Path));
    }

    [Fact]
    public void A_link_stays_a_link()
    {
        using var folder = new Folder();
        File.CreateSymbolicLink(folder["link"], folder.Write("real", ""));
        Weights.Empty.With("w", Tensor.Scalar(1f)).Save(folder["link"]);
        Assert.NotNull(new FileInfo(folder["link"]).LinkTarget);
        Assert.True(Weights.Load(folder["real"]).Contains("w"));
    }

    private static byte[] File_(string header, params byte[] data)
    {
        byte[] bytes = Encoding.UTF8.GetBytes(header);
        return [.. BitConverter.GetBytes((long)bytes.Length), .. bytes, .. data];
    }
}
