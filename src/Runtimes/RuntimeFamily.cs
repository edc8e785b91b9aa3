using Frusta.Contracts.Buffers;

namespace Frusta.Runtimes;

/// <summary>Kinds that behave alike.</summary>
public enum RuntimeFamily : byte
{
    NodeJs,
    Python,
}

internal static class RuntimeFamilyWords
{
    /// <summary>
    /// What OpenWhisk's image says when the process ends in the middle of an exchange, or null where the process is the
    /// image's server itself and nothing is said.
    /// </summary>
    public static PooledBuffer? WordsOfEnd(this RuntimeFamily family, bool initializing)
    {
        if (family != RuntimeFamily.Python)
        {
            return null;
        }

        return PooledBuffer.Copy(initializing
            ? "{\"error\":\"Cannot start action. Check logs for details.\"}\n"u8
            : "{\"error\":\"command exited\"}\n"u8);
    }
}
