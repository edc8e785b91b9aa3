using Frusta.Contracts.Buffers;
using Frusta.Contracts.Json;

namespace Frusta.Controller.Api;

/// <summary>A body that is made part by part, each when the client has taken most of the parts before it.</summary>
public abstract class AnswerParts : IDisposable
{
    /// <summary>Length of the whole body in bytes; null when it is known only at its end.</summary>
    public virtual long? Length => null;

    /// <summary>Bytes that it keeps in memory until its end, not counting the window.</summary>
    public virtual long HeldBytes => Length ?? 0;

    /// <summary>Makes the next part.</summary>
    /// <param name="window">Takes short bytes, which are sent first.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <returns>Long bytes that follow those in the window.</returns>
    public abstract ValueTask<AnswerPart> NextAsync(PooledBuffer window, CancellationToken cancellationToken);

    /// <summary>Gives back what the body holds.</summary>
    public abstract void Dispose();
}

/// <summary>A long part of a body, valid until the next part is asked for.</summary>
/// <param name="Bytes">The bytes.</param>
/// <param name="IsText">True for UTF-8 that goes into a JSON string, and is escaped on its way.</param>
/// <param name="IsLast">True when nothing follows.</param>
public readonly record struct AnswerPart(ReadOnlyMemory<byte> Bytes, bool IsText, bool IsLast)
{
    public void WriteSlice(PooledBuffer window, int start, int length)
    {
        var slice = Bytes.Span.Slice(start, length);
        if (IsText)
        {
            JsonText.WriteText(window, slice);
        }
        else
        {
            window.Write(slice);
        }
    }
}

/// <summary>A body of bytes that are in memory already, with a few bytes before and behind them.</summary>
/// <param name="before">The bytes before them.</param>
/// <param name="bytes">The bytes.</param>
/// <param name="after">The bytes behind them.</param>
/// <param name="owner">The owner of the bytes, disposed at the end.</param>
internal sealed class WholeBytes(ReadOnlyMemory<byte> before, ReadOnlyMemory<byte> bytes, ReadOnlyMemory<byte> after, IDisposable? owner) : AnswerParts
{
    private int _part;

    public override long? Length => (long)before.Length + bytes.Length + after.Length;

    public override ValueTask<AnswerPart> NextAsync(PooledBuffer window, CancellationToken cancellationToken)
    {
        if (_part++ == 0)
        {
            window.Write(before.Span);
            return new(new AnswerPart(bytes, IsText: false, IsLast: after.IsEmpty));
        }

        return new(new AnswerPart(after, IsText: false, IsLast: true));
    }

    public override void Dispose() => owner?.Dispose();
}

/// <summary>One body behind another.</summary>
internal sealed class Joined(AnswerParts first, AnswerParts second) : AnswerParts
{
    private bool _isFirstOver;

    public override async ValueTask<AnswerPart> NextAsync(PooledBuffer window, CancellationToken cancellationToken)
    {
        if (_isFirstOver)
        {
            return await second.NextAsync(window, cancellationToken);
        }

        var part = await first.NextAsync(window, cancellationToken);
        _isFirstOver = part.IsLast;
        return part with { IsLast = false };
    }

    public override void Dispose()
    {
        first.Dispose();
        second.Dispose();
    }
}

/// <summary>An entity with its code.</summary>
/// <param name="entity">Its JSON, with an empty string for the code.</param>
/// <param name="codeAt">The place of the code in it, in bytes.</param>
/// <param name="code">The code, not yet escaped.</param>
/// <param name="owner">The owner of the code, disposed at the end like the entity.</param>
internal sealed class EntityWithCode(PooledBuffer entity, int codeAt, ReadOnlyMemory<byte> code, IDisposable? owner) : AnswerParts
{
    private int _part;

    public override long HeldBytes => (long)entity.Length + code.Length;

    public override ValueTask<AnswerPart> NextAsync(PooledBuffer window, CancellationToken cancellationToken) => new(_part++ switch
    {
        0 => new AnswerPart(entity.Memory[..codeAt], IsText: false, IsLast: false),
        1 => new AnswerPart(code, IsText: true, IsLast: false),
        _ => new AnswerPart(entity.Memory[codeAt..], IsText: false, IsLast: true),
    });

    public override void Dispose()
    {
        entity.Dispose();
        owner?.Dispose();
    }
}
