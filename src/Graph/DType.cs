namespace Dnn.Graph;

/// <summary>The type of a tensor's elements.</summary>
public enum DType
{
    /// <summary>The run's float type. It stays open in the graph and becomes <see cref="F32"/> or <see cref="F64"/> when a plan is made.</summary>
    Float,

    /// <summary>IEEE 754 binary32.</summary>
    F32,

    /// <summary>IEEE 754 binary64.</summary>
    F64,

    /// <summary>64-bit signed integer.</summary>
    I64,

    /// <summary>Truth value, one byte in memory.</summary>
    Bool,
}

/// <summary>Questions about element types.</summary>
public static class DTypes
{
    /// <summary>Whether gradients flow through values of this type.</summary>
    public static bool IsFloat(this DType type) => type is DType.Float or DType.F32 or DType.F64;

    /// <summary>The name the language uses: <c>float f32 f64 i64 bool</c>.</summary>
    public static string Text(this DType type) => type switch
    {
        DType.Float => "float",
        DType.F32 => "f32",
        DType.F64 => "f64",
        DType.I64 => "i64",
        DType.Bool => "bool",
        _ => throw new ArgumentOutOfRangeException(nameof(type), type, null),
    };
}
