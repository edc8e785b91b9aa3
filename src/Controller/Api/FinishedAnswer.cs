using System.Buffers;
using Frusta.Contracts.Messages;

namespace Frusta.Controller.Api;

/// <summary>The body of an answer to a blocking call, cut out of the record.</summary>
public static class FinishedAnswer
{
    private static readonly byte[] NoLogs = [.. "[]}"u8];

    /// <summary>HTTP status for a client that waited.</summary>
    public static int StatusCode(ActivationStatus status) => status switch
    {
        ActivationStatus.Success => 200,
        ActivationStatus.ApplicationError or ActivationStatus.DeveloperError => 502,
        _ => 500,
    };

    /// <summary>Length in bytes of what <see cref="Write"/> writes.</summary>
    public static int Length(FinishedActivation finished, bool resultOnly) => !IsBare(finished, resultOnly)
        ? finished.LogsOffset + 3
        : Math.Max(finished.ResultLength, 2);

    /// <summary>
    /// Writes the record with no logs in it, or the result alone where the client asked for it. A result that is an
    /// array always comes alone, as OpenWhisk has it.
    /// </summary>
    public static void Write(FinishedActivation finished, bool resultOnly, IBufferWriter<byte> destination)
    {
        if (!IsBare(finished, resultOnly))
        {
            destination.Write(finished.Record.Span[..finished.LogsOffset]);
            destination.Write(NoLogs);
        }
        else
        {
            destination.Write(finished.ResultLength == 0 ? "{}"u8 : finished.Result);
        }
    }

    /// <summary>As <see cref="Write"/>, from the record itself, which is held until it is sent.</summary>
    internal static AnswerParts Parts(FinishedActivation finished, bool resultOnly)
    {
        var record = finished.Record.Retain();
        return IsBare(finished, resultOnly)
            ? new WholeBytes(default, record.Memory.Slice(finished.ResultOffset, finished.ResultLength), default, record)
            : new WholeBytes(default, record.Memory[..finished.LogsOffset], NoLogs, record);
    }

    private static bool IsBare(FinishedActivation finished, bool resultOnly) => resultOnly || finished.ResultIsArray;
}
