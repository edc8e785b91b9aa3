using Frusta.Contracts.Buffers;
using Frusta.Contracts.Entities;
using Frusta.Store.Entities;

namespace Frusta.Controller.Api;

/// <summary>The entries of a list of entities, read a page at a time while the list is sent.</summary>
/// <param name="store">Reads the entities; no reader of the store waits for the client.</param>
/// <param name="pages">The entities of the list, page by page.</param>
/// <param name="before">The bytes before the entries.</param>
/// <param name="after">The bytes behind them.</param>
/// <param name="write">Writes one entry; false when the entity has no place in this list.</param>
internal sealed class EntityList(
    IEntityStore store, List<ArraySegment<ListedEntity>> pages, ReadOnlyMemory<byte> before, ReadOnlyMemory<byte> after, Func<PooledBuffer, EntityDocument, bool> write) : AnswerParts
{
    private int _page = -1;
    private bool _hasEntries;

    public override async ValueTask<AnswerPart> NextAsync(PooledBuffer window, CancellationToken cancellationToken)
    {
        _page++;
        if (_page == 0)
        {
            window.Write(before.Span);
        }

        if (_page == pages.Count)
        {
            window.Write(after.Span);
            return new AnswerPart(default, IsText: false, IsLast: true);
        }

        foreach (var document in await store.GetSummariesAsync(pages[_page], cancellationToken))
        {
            var length = window.Length;
            if (_hasEntries)
            {
                window.Write(","u8);
            }

            if (write(window, document))
            {
                _hasEntries = true;
            }
            else
            {
                window.Truncate(length);
            }
        }

        return default;
    }

    public override void Dispose()
    {
        // It holds nothing between two pages.
    }
}
