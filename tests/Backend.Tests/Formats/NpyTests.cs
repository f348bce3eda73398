using System.IO.Compression;
using System.Text;
using Dnn.Graph;
using Xunit;

namespace Dnn.Backend.Tests;

public class NpyTests
{
    // Type, data of two elements, what is read; files as numpy.save lays them out.
    public static TheoryData<string, byte[], Tensor> Types() => new()
    {
        { "|b1", [1, 0], Tensor.Create([true, false]) },
        { "|i1", [0xFF, 2], Tensor.Create([-1L, 2]) },
        { "|u1", [0xFF, 2], Tensor.Create([255L, 2]) },
        { "<i2", [0xFE, 0xFF, 2, 1], Tensor.Create([-2L, 258]) },
        { ">i2", [0xFF, 0xFE, 1, 2], Tensor.Create([-2L, 258]) },
        { ">u2", [0xFF, 0xFE, 1, 2], Tensor.Create([65534L, 258]) },
        { "<i4", [0xFE, 0xFF, 0xFF, 0xFF, 0, 1, 0, 0], Tensor.Create([-2L, 256]) },
        { ">u4", [0xFF, 0xFF, 0xFF, 0xFE, 0, 0, 1, 0], Tensor.Create([4294967294L, 256]) },
        { ">i8", [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFE, 0, 0, 0, 0, 0, 0, 1, 0], Tensor.Create([-2L, 256]) },
        { "<u8", [1, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F], Tensor.Create([1, long.MaxValue]) },
        { "<f2", [0x00, 0x3C, 0xFF, 0x7B], Tensor.Create([1f, 65504f]) },
        { ">f2", [0x3C, 0x00, 0xFC, 0x00], Tensor.Create([1f, float.NegativeInfinity]) },
        { "<f4", [0, 0, 0x80, 0x3F, 0, 0, 0, 0x80], Tensor.Create([1f, -0f]) },
        { ">f4", [0x3F, 0x80, 0, 0, 0x80, 0, 0, 0], Tensor.Create([1f, -0f]) },
        { "<f8", [0, 0, 0, 0, 0, 0, 0xF0, 0x3F, 1, 0, 0, 0, 0, 0, 0, 0], Tensor.Create([1.0, double.Epsilon]) },
        { ">f8", [0x3F, 0xF0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1], Tensor.Create([1.0, double.Epsilon]) },
    };

    [Theory]
    [MemberData(nameof(Types))]
    public void Every_number_type_in_either_byte_order_is_read(string descr, byte[] data, Tensor expected)
    {
        using var folder = new Folder();
        foreach (int version in (int[])[1, 2, 3])
        {
            Tensor read = Npy.Read(folder.Write("x.npy", File_($"{{'descr': '{descr}', 'fortran_order': False, 'shape': (2,), }}", data, version)));
            Assert.True(read.BitEquals(expected), $"{descr}, version {version}: {read}");
        }
    }

    [Fact]
    public void Fortran_order_is_turned_to_rows()
    {
        using var folder = new Folder();
        // numpy.asfortranarray([[1, 2, 3], [4, 5, 6]]): columns one after another.
        Tensor matrix = Npy.Read(folder.Write("x", File_("{'descr': '|u1', 'fortran_order': True, 'shape': (2, 3), }", [1, 4, 2, 5, 3, 6])));
        Assert.True(matrix.BitEquals(Tensor.Create(new long[,] { { 1, 2, 3 }, { 4, 5, 6 } })));
        // Element (i, j, k) of shape (2, 3, 2) is at i + 2j + 6k.
        Tensor cube = Npy.Read(folder.Write("x", File_("{'descr': '|u1', 'fortran_order': True, 'shape': (2, 3, 2), }", [.. Enumerable.Range(0, 12).Select(i => (byte)i)])));
        Assert.Equal([0, 6, 2, 8, 4, 10, 1, 7, 3, 9, 5, 11], cube.ToArray<long>());
    }

    [Fact]
    public void Headers_as_other_programs_write_them_are_read()
    {
        using var folder = new Folder();
        foreach (string header in (string[])
            [
                "{\"shape\":(2L,),\"fortran_order\":False,\"descr\":\"|u1\"}",
                "{ 'descr' : '|u1' , 'fortran_order' : False , 'shape' : ( 2 , ) }   \n",
            ])
        {
            Assert.Equal([1, 2], Npy.Read(folder.Write("x", File_(header, [1, 2]))).ToArray<long>());
        }
    }

    [Fact]
    public void A_file_is_written_byte_by_byte()
    {
        using var folder = new Folder();
        Npy.Write(folder["x.npy"], Tensor.Create([1f]));
        byte[] expected =
        [
            0x93, (byte)'N', (byte)'U', (byte)'M', (byte)'P', (byte)'Y', 1, 0, 118, 0,
            .. Encoding.ASCII.GetBytes("{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }".PadRight(117) + "\n"),
            0, 0, 0x80, 0x3F,
        ];
        Assert.Equal(expected, File.ReadAllBytes(folder["x.npy"]));
    }

    [Fact]
    public void Writing_and_reading_gives_the_same_bits() => Samples.Check(Samples.Tensors, tensor =>
    {
        using var folder = new Folder();
        Npy.Write(folder["x.npy"], tensor);
        Assert.True(Npy.Read(folder["x.npy"]).BitEquals(tensor));
    });

    public static TheoryData<byte[], string> Malformed() => new()
    {
        { [], "too few" },
        { "hello, world"u8.ToArray(), "does not start with" },
        { File_("{}", [], 9), "version 9.0" },
        { [0x93, .. "NUMPY"u8, 1, 0, 255, 255], "truncated: the header" },
        { [0x93, .. "NUMPY"u8, 2, 0, 255, 255], "truncated: the header" },
        { [0x93, .. "NUMPY"u8, 2, 0, 255, 255, 255, 255], "truncated: the header" },
        { File_("", []), "'{' is expected" },
        { File_("{'descr'}", []), "':' is expected" },
        { File_("{'descr': 4}", []), "a string is expected" },
        { File_("{'descr': '<f4", []), "a string is expected" },
        { File_("{'what': 1}", []), "'what'" },
        { File_("{'descr': '<f4', 'descr': '<f4'}", []), "'descr'" },
        { File_("{'descr': '<f4', 'shape': ()}", []), "'fortran_order' is missing" },
        { File_("{'descr': '<f4', 'fortran_order': 0, 'shape': ()}", []), "True or False" },
        { File_("{'descr': '<f4', 'fortran_order': False, 'shape': 3}", []), "'(' is expected" },
        { File_("{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}", []), "a size from 0" },
        { File_("{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999,)}", []), "a size from 0" },
        { File_("{'descr': '<f4', 'fortran_order': False, 'shape': (2147483647, 2147483647, 2147483647)}", []), "more than" },
        { File_($"{{'descr': '<f4', 'fortran_order': False, 'shape': ({string.Join(",", Enumerable.Repeat(1, 65))})}}", []), "65 dimensions" },
        { File_("{'descr': '<f4', 'fortran_order': False, 'shape': (1,)} x", []), "follows" },
        { File_("{'descr': '<f4', 'fortran_order': False, 'shape': (2147483000,)}", [0]), "truncated: the data" },
        { File_("{'descr': '<f4', 'fortran_order': False, 'shape': (1,)}", [0, 0, 0]), "truncated: the data" },
        { File_("{'descr': '<f4', 'fortran_order': False, 'shape': (1,)}", [0, 0, 0, 0, 0]), "1 bytes follow" },
        { File_("{'descr': '<c8', 'fortran_order': False, 'shape': ()}", new byte[8]), "'<c8'" },
        { File_("{'descr': '|O', 'fortran_order': False, 'shape': ()}", new byte[8]), "Python objects" },
        { File_("{'descr': '<U3', 'fortran_order': False, 'shape': ()}", new byte[12]), "'<U3'" },
        { File_("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': ()}", new byte[4]), "structured" },
        { File_("{'descr': '<u8', 'fortran_order': False, 'shape': ()}", [0, 0, 0, 0, 0, 0, 0, 255]), "2^63" },
    };

    [Theory]
    [MemberData(nameof(Malformed))]
    public void A_malformed_file_is_refused_with_its_name_and_a_reason(byte[] file, string reason)
    {
        using var folder = new Folder();
        string path = folder.Write("x.npy", file);
        var e = Assert.Throws<DataFormatException>(() => Npy.Read(path));
        Assert.StartsWith(path + ": ", e.Message, StringComparison.Ordinal);
        Assert.Contains(reason, e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Npz_holds_named_arrays() => Samples.Check(Samples.Weights, weights =>
    {
        using var folder = new Folder();
        // '/' aside, any text is a name.
        Npz.Write(folder["a.npz"], weights);
        Npz.Write(folder["b.npz"], weights);
        Assert.Equal(File.ReadAllBytes(folder["a.npz"]), File.ReadAllBytes(folder["b.npz"]));
        IReadOnlyDictionary<string, Tensor> read = Npz.Read(folder["a.npz"]);
        Assert.Equal(weights.Count, read.Count);
        Assert.All(weights, w => Assert.True(read[w.Key].BitEquals(w.Value)));
    });

    [Fact]
    public void Compressed_npz_is_read()
    {
        using var folder = new Folder();
        Npy.Write(folder["x.npy"], Tensor.Zeros(DType.F64, 100_000));
        using (ZipArchive zip = ZipFile.Open(folder["x.npz"], ZipArchiveMode.Create))
        {
            zip.CreateEntryFromFile(folder["x.npy"], "x.npy", CompressionLevel.SmallestSize);
        }

        Assert.True(new FileInfo(folder["x.npz"]).Length < 10_000);
        Assert.Equal(100_000, Npz.Read(folder["x.npz"])["x"].Length);
    }

    [Fact]
    public void A_malformed_npz_is_refused()
    {
        using var folder = new Folder();
        Npz.Write(folder["ok"], [new("x", Tensor.Zeros(DType.F64, 3)), new("y", Tensor.Zeros(DType.Bool, 3))]);
        byte[] good = File.ReadAllBytes(folder["ok"]);
        Assert.Contains("zip", Assert.Throws<DataFormatException>(() => Npz.Read(folder.Write("d", "no zip"))).Message, StringComparison.Ordinal);
        for (int i = 0; i < good.Length; i++)
        {
            Assert.Throws<DataFormatException>(() => Npz.Read(folder.Write("d", good.AsSpan(0, i))));
            byte[] damaged = [.. good];
            damaged[i] ^= 0xFF;
            string path = folder.Write("d", damaged);
            try
            {
                Npz.Read(path);
            }
            catch (DataFormatException e)
            {
                Assert.StartsWith(path, e.Message, StringComparison.Ordinal);
            }
        }

        using (ZipArchive zip = ZipFile.Open(folder["t"], ZipArchiveMode.Create))
        {
            zip.CreateEntry("readme.txt");
        }

        Assert.Contains("readme.txt", Assert.Throws<DataFormatException>(() => Npz.Read(folder["t"])).Message, StringComparison.Ordinal);
    }

    private static byte[] File_(string header, byte[] data, int version = 1)
    {
        byte[] text = Encoding.ASCII.GetBytes(header);
        byte[] length = version == 1 ? BitConverter.GetBytes((ushort)text.Length) : BitConverter.GetBytes(text.Length);
        return [0x93, .. "NUMPY"u8, (byte)version, 0, .. length, .. text, .. data];
    }
}
